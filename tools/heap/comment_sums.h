/* SPDX-License-Identifier: MIT */
/* The comments of several profiles as those of one. What counts something is added up (samples, exact_units, lost.*,
 * ...); the largest sampling interval is kept; what holds for one process only (created_unix_ns, stacks,
 * peak_inuse_space) is kept where all agree. Anything else is kept once for each different text.
 *
 * Memory: the sums own their texts; the heaps may go.
 */
#ifndef HEAPPROF_COMMENT_SUMS_H
#define HEAPPROF_COMMENT_SUMS_H

#include "tools/heap/heap.h"

struct comment_sums;

struct comment_sums *comment_sums_new(void);
void comment_sums_add(struct comment_sums *sums, const struct heap *heap);

/* Gives them to the heap, with its standard errors and the number of profiles. */
void comment_sums_apply(const struct comment_sums *sums, struct heap *heap);
void comment_sums_free(struct comment_sums *sums);

#endif
