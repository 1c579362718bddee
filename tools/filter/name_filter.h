/* SPDX-License-Identifier: MIT */
/* Stacks and frames by name, as pprof chooses them. An expression matches a place if it matches the name or the file of
 * one of its functions, or the path of its mapping.
 */
#ifndef HEAPPROF_NAME_FILTER_H
#define HEAPPROF_NAME_FILTER_H

#include "tools/heap/heap.h"

#include <stdbool.h>

/* NULL: not asked for. */
struct name_filter {
  GRegex *focus, *ignore; /* stacks with a place that it matches, and none that is ignored */
  GRegex *hide, *show;    /* functions that it matches go; only those stay */
  GRegex *show_from;      /* stacks begin at the outermost function that it matches */
};

/* Stacks that do not count become empty, so that totals stay what they were. Says which expression matched nothing. */
void name_filter_apply(const struct name_filter *filter, struct heap *heap, GString *unmatched);

/* Makes the stack of a sample empty. */
void name_filter_empty(struct heap_sample *sample);

#endif
