/* SPDX-License-Identifier: MIT */
/* Samples of a heap added up: one for each stack with the same labels.
 *
 * Memory: the sums refer to the heap, which must live longer.
 */
#ifndef HEAPPROF_SUMS_H
#define HEAPPROF_SUMS_H

#include "tools/heap/heap.h"

struct sum {
  uint32_t sample;                /* the first of those it stands for: its frames and labels */
  int64_t values[HEAP_TYPES_MAX]; /* clamped to what fits */
  double variances[HEAP_TYPES_MAX];
};

/* struct sum, in the order of their first samples, without those whose values are all 0. */
GArray *sums_of(const struct heap *heap);

/* Makes the sums the samples of their heap. */
void sums_apply(struct heap *heap, const GArray *sums);

#endif
