/* SPDX-License-Identifier: MIT */
/* Samples of a heap added up: one for each stack with the same labels.
 *
 * Memory: the sums refer to the heap, which must live longer.
 */
#ifndef HEAPPROF_SUMS_H
#define HEAPPROF_SUMS_H

#include "tools/heap/heap.h"

struct sum {
  uint32_t sample;  /* the first of those it stands for: its frames and labels */
  uint32_t types;   /* of the heap */
  int64_t values[]; /* one for each type, clamped to what fits; behind them the variances */
};

/* In the order of their first samples, without those whose values are all 0. There may be millions, so none is larger
 * than the heap's types need: sums_at finds one. */
GArray *sums_of(const struct heap *heap);

static inline const struct sum *sums_at(const GArray *sums, guint index)
{
  return (const struct sum *)(const void *)(sums->data +
                                            (size_t)index * g_array_get_element_size((GArray *)(uintptr_t)sums));
}

static inline const double *sum_variances(const struct sum *sum)
{
  return (const double *)(const void *)(sum->values + sum->types);
}

/* Makes the sums the samples of their heap. */
void sums_apply(struct heap *heap, const GArray *sums);

#endif
