/* SPDX-License-Identifier: MIT */
/* Several profiles as one: values and variances are added by stack. The same file mapped somewhere else is the same
 * code, by build id (or path), size and offset, as pprof takes it; what would then lie where something else lies is
 * moved.
 *
 * The largest period, the earliest time and the sum of durations are kept; comments as comment_sums.h says.
 *
 * Memory: the result is a heap of its own. Failure: NULL and *error, for heaps whose types differ.
 */
#ifndef HEAPPROF_COMBINE_H
#define HEAPPROF_COMBINE_H

#include "tools/heap/heap.h"

#define COMBINE_ERROR g_quark_from_static_string("heapprof-combine")

struct combiner;

struct combiner *combiner_new(void);

/* False and *error, which names the first difference: the values do not mean the same. Then nothing was added. */
bool combiner_add(struct combiner *combiner, const struct heap *heap, GError **error);

/* What was added, NULL if nothing was. The combiner is gone. */
struct heap *combiner_end(struct combiner *combiner);

#endif
