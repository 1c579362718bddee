/* SPDX-License-Identifier: MIT */
/* What each stack of a process had allocated at a moment, to tell later what it has allocated since. Stacks are known
 * by their addresses and labels, which mean something within one process only.
 *
 * As bytes they go from worker to worker. Memory: new bytes are the caller's. Failure: bytes that are none of
 * marks_of, or of another process, count as no marks: everything was allocated since.
 */
#ifndef HEAPPROF_MARKS_H
#define HEAPPROF_MARKS_H

#include "tools/scrape/stack_keys.h"

/* Of a heap as it was read, and the keys of its stacks. */
GBytes *marks_of(const struct heap *heap, const GArray *keys);

/* When they were made; 0: they are none. */
int64_t marks_time(GBytes *marks);

/* Takes what was allocated before from alloc_objects and alloc_space; inuse_* stays what it is. The heap says so in a
 * comment, and is of that time; no time has passed where the clock was set back. `marks` may be NULL. */
void marks_subtract(struct heap *heap, const GArray *keys, GBytes *marks);

/* Takes out the comments on what counts from the start of the process, for a heap of another time. */
void marks_drop_totals(struct heap *heap);

#endif
