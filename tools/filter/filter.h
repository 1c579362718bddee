/* SPDX-License-Identifier: MIT */
/* What of a heap is looked at, as options ask for it, in pprof's words; every heap of a command goes through the same
 * filter. Stacks that do not count are left as empty ones, which have a value and no place: percentages are of all that
 * the profile has, as pprof's are.
 */
#ifndef HEAPPROF_FILTER_H
#define HEAPPROF_FILTER_H

#include "tools/heap/heap.h"

/* As people write it; NULL: not given. */
struct filter_texts {
  const char *focus, *ignore, *hide, *show, *show_from; /* name_filter.h */
  const char *tag_focus, *tag_ignore;                   /* tag_filter.h */
  const char *plumbing;                                 /* names of more allocation plumbing */
  bool has_no_owners;                                   /* what is allocated belongs to the innermost function */
};

struct filter;

/* NULL after a message: what was given makes no sense. */
struct filter *filter_new(const struct filter_texts *texts);
void filter_free(struct filter *filter);

/* Gives functions their roles, and takes out what is not wanted. NULL is the filter of which nothing was asked.
 * Expressions that match nothing are appended to `unmatched`, "--focus 'x', --hide 'y'"; it may be NULL. */
void filter_apply(const struct filter *filter, struct heap *heap, GString *unmatched);

/* Gives functions their roles even if what is allocated shall belong to the innermost: for a view that shows both. */
void filter_mark_owners(const struct filter *filter, struct heap *heap);

/* Takes out the stacks that it left empty, with their values: for a view that has no total to compare with. */
void filter_drop_empty(const struct filter *filter, struct heap *heap);

#endif
