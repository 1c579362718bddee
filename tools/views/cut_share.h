/* SPDX-License-Identifier: MIT */
/* How much of a view is in stacks that were cut, by reason (core/cuts.h): there, outer callers are missing. Profiles of
 * others say nothing of it, so of them nothing is cut. */
#ifndef HEAPPROF_CUT_SHARE_H
#define HEAPPROF_CUT_SHARE_H

#include "core/cuts.h"
#include "tools/heap/heap.h"

/* Sums of values without their signs. */
struct cut_share {
  double whole;
  double parts[CUT_COUNT];
  /* Path of the file where more than half of that part is, or "[Haskell]"; a text of the heap, or ours. NULL: none. */
  const char *no_cfi_in;
};

/* Of the samples that is_shown tells, by index; NULL: all. */
struct cut_share cut_share_of(const struct heap *heap, int type, const bool *is_shown);

/* What is in cut stacks. */
double cut_share_sum(const struct cut_share *share);

/* "12.00% of inuse_space: 9.00% no CFI (what to do), 3.00% depth (what to do)", or the one reason alone, as a new
 * string; NULL: no more than 5 % of it, not worth a word. */
char *cut_share_text(const struct cut_share *share, const char *type_name);

#endif
