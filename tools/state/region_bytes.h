/* SPDX-License-Identifier: MIT */
/* The bytes of a state file, which others may write, grow or cut meanwhile. They are read, never mapped: to read a hole
 * of a file in tmpfs through a mapping would give it memory for good, and a page that is cut off would raise SIGBUS.
 *
 * Failure: NULL and *error, a GFileError that names the file; what is cut off meanwhile reads as zeros, and is told
 * afterwards.
 */
#ifndef HEAPPROF_REGION_BYTES_H
#define HEAPPROF_REGION_BYTES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct region_bytes;

/* A regular file of `owner`, (uid_t)-1: of anybody; symbolic links are not followed. */
struct region_bytes *region_bytes_open(const char *path, uid_t owner, GError **error);

/* A file without a name that holds a copy of these. */
struct region_bytes *region_bytes_of_memory(const void *memory, size_t size, const char *name, GError **error);
void region_bytes_close(struct region_bytes *bytes);

/* As it was when it was opened. */
const struct stat *region_bytes_status(const struct region_bytes *bytes);
const char *region_bytes_name(const struct region_bytes *bytes);

/* Begins to read: how many there are now, at most `limit`; a larger file is refused, and an empty one. */
bool region_bytes_begin(struct region_bytes *bytes, uint64_t limit, uint64_t *size, GError **error);

void region_bytes_read(struct region_bytes *bytes, uint64_t at, void *to, size_t size);

/* Where, from there on, something may be other than zero; UINT64_MAX: nowhere. */
uint64_t region_bytes_skip_hole(const struct region_bytes *bytes, uint64_t at);

/* False and *error: something that was to be read since begin had been cut off. */
bool region_bytes_end(struct region_bytes *bytes, GError **error);

#endif
