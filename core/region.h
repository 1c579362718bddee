/* SPDX-License-Identifier: MIT */
/* The state region: what this process knows about its heap, in memory that outlives it and that others can read.
 *
 * One sparse file, mapped shared: a header, then a log of records that are appended and never moved. The layout is
 * described in docs/region-format.md. Without a usable directory the same layout lives in private memory.
 *
 * The file is mapped in segments: the first REGION_FIRST_SEGMENT_BYTES, then pieces that each double what is there;
 * where a page is larger, the first mapping holds several. Blocks are reserved on the file system before they are
 * touched, because touching a page of a full tmpfs raises SIGBUS.
 *
 * Threads: everything but region_create may be called from any thread at any time, signal handlers included; nothing
 * waits longer than about a millisecond. Fork: a child must call region_adopt before it writes. Failure: NULL or false,
 * and the caller counts the loss. errno is kept.
 */
#ifndef HEAPPROF_REGION_H
#define HEAPPROF_REGION_H

#include "core/compiler.h"
#include "core/config.h"
#include "core/lock.h"
#include "core/losses.h"
#include "core/region_format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before region_create: flags of enum region_hooks. */
void region_note_hooks(uint32_t hooks);

/* The process has been running without us until now. By one thread at a time. */
void region_note_attached(void);

/* Creates the region of this process. Not for hooks. False: there is not even private memory. */
bool region_create(const struct config *config, const char *program, const char *allocator);

/* Gives a forked child its own region: the parent's records, with tallies at zero. The addresses and positions of all
 * records stay as they are. Call in the child, by one thread, before it writes. False: the child has no region. */
bool region_adopt(const struct config *config);

/* Lets others read an adopted region: its tallies are right now. */
void region_announce(void);

/* At the start: removes what the program left that this process was before exec. Makes nothing. */
void region_remove_from_before_exec(const struct config *config, int pid);

/* Removes the file. The mapping stays: threads may still be counting. */
void region_remove_file(void);

/* "" without a file. */
const char *region_path(void);

/* Does the file hold the whole log, and is it still there under its name? */
bool region_is_in_file(void);

/* Is this the process that the region describes, and not a vfork child of it, nor a forked child that never sampled? */
bool region_is_own(void);

/* NULL before region_create. */
SAMPLED struct region_header *region_header(void);

/* Room for a record of `size_bytes`, zeroed; NULL when there is none. Fill it in, then publish. */
struct region_record *region_reserve(size_t size_bytes, uint32_t *granule);
void region_publish(struct region_record *record, enum region_record_type type, const uint64_t *constant, size_t words,
                    uint64_t hash);

/* The record at a position that region_reserve gave. */
SAMPLED struct region_record *region_at(uint32_t granule);

/* Visits published records in order; NULL at the end. Start with *position = 0. Reads only what is mapped, whatever the
 * sizes in the log say. */
struct region_record *region_next(uint64_t *position, enum region_record_type type);

void region_lose(enum loss loss);
/* Notes where a sample lies. */
SAMPLED void region_note_seen(const void *pointer);

/* Counts a mapping of the shim, and notes where it lies, if there is room. */
void region_add_own(const void *start, uint64_t bytes);

/* Of the memory that the file is mapped in; 0 before region_create asks for it. A test may say otherwise before. */
extern size_t region_page_bytes;

/* Taken by the fork handlers, so that no fork happens while a file is open for growth. */
extern struct lock region_growth_lock;

#endif
