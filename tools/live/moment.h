/* SPDX-License-Identifier: MIT */
/* live/: what changes while somebody looks at a process: what its stacks held at moments, the hour of them that
 * the server keeps, and the pages that show it. What is kept are bytes that workers made of hostile files, so
 * whoever reads them believes nothing of them. One thread.
 *
 * What each stack of a process held at a moment, as bytes that outlive the heap they were made of. Names are not
 * among them: stacks never leave a state file, so a heap that is read later has the names of all.
 *
 * Memory: new bytes are the caller's. Failure: what is no moment is one of no stacks.
 */
#ifndef HEAPPROF_MOMENT_H
#define HEAPPROF_MOMENT_H

#include "tools/scrape/stack_keys.h"

enum { MOMENT_TYPES = 4, MOMENT_ALLOCATED = 1, MOMENT_IN_USE = 3 };

struct moment_stack {
  struct stack_key key;
  float variances[MOMENT_TYPES];
  int64_t values[MOMENT_TYPES]; /* alloc_objects, alloc_space, inuse_objects, inuse_space */
};

/* Of a heap as it was read, whose first types are these four. */
GBytes *moment_of(const struct heap *heap);

/* Stacks in the bytes, and one of them. */
size_t moment_count(size_t size);
struct moment_stack moment_stack_at(const void *bytes, size_t index);

/* Gives the stacks of a heap of the same process, of these four types, the values that they had then; 0 to those
 * that were not there. `keys`: of its samples. */
void moment_put(struct heap *heap, const GArray *keys, const void *bytes, size_t size);

#endif
