/* SPDX-License-Identifier: MIT */
/* How certain the difference of two profiles is: docs/sampling.md, "Differences".
 *
 * Memory: freed by change_variances_free.
 */
#ifndef HEAPPROF_CHANGE_H
#define HEAPPROF_CHANGE_H

#include "tools/heap/heap.h"

/* What each sample of each profile adds to the variance of a difference. They add up over any set of whole stacks. */
struct change_variances {
  double *old, *new; /* by sample */
};

/* Both heaps have variances. `type` of each. */
struct change_variances *change_variances_new(const struct heap *old, int old_type, const struct heap *new,
                                              int new_type);
void change_variances_free(struct change_variances *variances);

/* Of the difference of their totals. */
double change_variance_of_totals(const struct heap *old, int old_type, const struct heap *new, int new_type);

#endif
