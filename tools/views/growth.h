/* SPDX-License-Identifier: MIT */
/* Limits of how much one profile may hold more than another: in total, of one type of samples.
 *
 * Failure: two profiles that do not tell how far off they can be, or that were not sampled alike, cannot be judged.
 */
#ifndef HEAPPROF_GROWTH_H
#define HEAPPROF_GROWTH_H

#include "tools/heap/heap.h"
#include "tools/views/limit.h"

/* struct limit. NULL after a message: one of `texts`, which ends with NULL, is none. */
GArray *growth_limits_read(const char *const *texts);

/* Says on standard error which are broken, by how much, and what grew most, or why they cannot be judged. Returns what
 * came of each (limit.h). `type` of each. */
GArray *growth_judge(const GArray *limits, const struct heap *old, int old_type, const struct heap *new, int new_type);

#endif
