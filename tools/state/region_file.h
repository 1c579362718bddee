/* SPDX-License-Identifier: MIT */
/* Reads the state region of a process, alive or dead, from its file (docs/region-format.md): the rules of section 6,
 * and nothing the file says is believed. The target is not touched: no signal, no stop, no trace, no write.
 *
 * While it is read the owner may write, grow and remove it. Values of a stack agree with each other; in-use is never
 * negative.
 *
 * Threads: one at a time. Memory: the heap is the caller's. Failure: NULL or false and *error; a file that is cut or
 * grows while it is read costs values, never a fault.
 */
#ifndef HEAPPROF_REGION_FILE_H
#define HEAPPROF_REGION_FILE_H

#include "tools/state/region_halves.h"
#include "tools/state/region_heap.h"

#include <stdbool.h>
#include <sys/stat.h>

/* An open region. */
struct region_file;

/* NULL and *error. `owner` is the only user whose file is accepted; root's caller may pass (uid_t)-1 for any. */
struct region_file *region_file_open(const char *path, uid_t owner, GError **error);
void region_file_close(struct region_file *file);

/* Of the file when it was opened: which file it is, whose, how old. */
const struct stat *region_file_status(const struct region_file *file);

/* The same on memory, for tests; it stays the caller's. */
struct region_file *region_file_of_bytes(const void *bytes, size_t size, const char *name, GError **error);

bool region_file_summarize(struct region_file *file, struct region_summary *summary, GError **error);

bool region_file_read_halves(struct region_file *file, struct region_halves *halves, GError **error);

/* Of the process now, where somebody can tell: else it is what the process has last said itself. */
void region_file_set_cpu_ns(struct region_file *file, uint64_t cpu_ns);

/* And what it calls itself now: programs change their titles. */
void region_file_set_command(struct region_file *file, const char *command);

/* For a heap of mappings: how much of what each stack has mapped is resident, from granules to bytes; it stays the
 * caller's. */
void region_file_set_resident(struct region_file *file, GHashTable *resident);

/* What is mapped now, struct region_range; NULL and *error. */
GArray *region_file_ranges(struct region_file *file, GError **error);

/* A heap without symbols: mappings, locations, samples, comments as the shim's own dumps have them. */
struct heap *region_file_read(struct region_file *file, enum region_moment moment, const char *reason, GError **error);

#endif
