/* SPDX-License-Identifier: MIT */
/* The heap of a region, by the rules of the shim's own dumps (core/profile.c, core/dump.c), without names.
 *
 * Memory: a heap of its own.
 */
#ifndef HEAPPROF_REGION_HEAP_H
#define HEAPPROF_REGION_HEAP_H

#include "tools/heap/heap.h"
#include "tools/state/region_summary.h"

#define REGION_ROUNDING_TYPE "rounding_space"

enum region_moment {
  REGION_NOW,      /* inuse_* at the moment of reading */
  REGION_PEAK,     /* inuse_* as peak_*: at the last peak of in-use bytes */
  REGION_ROUNDING, /* the first, and a seventh value: what the allocator gave of inuse_space beyond what was wanted */
  REGION_MAPPED,   /* not the heap at all: what the program mapped itself, exact */
};

#define REGION_MAPPED_TEXT "mapped by the program itself (mmap, mremap, sbrk)"
#define REGION_RESIDENT_TYPE "resident_space"

/* Walks the log to its end. What is not sound in it is left out. NULL and *error: the profile would be too large to be
 * read (save.h). */
struct heap *region_heap_of_log(struct region_log *log, const struct region_summary *summary, enum region_moment moment,
                                const char *reason, const char *name, GError **error);

/* REGION_MAPPED. With `resident` (may be NULL), from granules of stacks to bytes, there is a fifth value. */
struct heap *region_heap_of_mappings(struct region_log *log, const struct region_summary *summary, GHashTable *resident,
                                     const char *reason, const char *name, GError **error);

#endif
