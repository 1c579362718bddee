/* SPDX-License-Identifier: MIT */
/* The comments of several profiles as those of one. What counts something is added up (samples, exact_units, lost.*, ...); the
 * largest sampling interval is kept; what holds for one process only (created_unix_ns, stacks, peak_inuse_space) is kept
 * where all agree. Anything else is kept once for each different text. */
#ifndef HEAPPROF_NOTES_H
#define HEAPPROF_NOTES_H

#include "tools/heap/heap.h"

struct notes;

struct notes *notes_new(void);
void notes_add(struct notes *notes, const struct heap *heap);

/* Gives them to the heap, with its standard errors and the number of profiles. */
void notes_apply(const struct notes *notes, struct heap *heap);
void notes_free(struct notes *notes);

#endif
