/* SPDX-License-Identifier: MIT */
/* What of a heap is looked at, as options ask for it; every heap of a command goes through the same filter. */
#ifndef HEAPPROF_FILTER_H
#define HEAPPROF_FILTER_H

#include "tools/heap/heap.h"

/* As people write it; NULL: not given. */
struct filter_texts {
  const char *plumbing; /* names of more allocation plumbing */
  bool has_no_owners;   /* what is allocated belongs to the innermost function */
};

struct filter;

/* NULL after a message: what was given makes no sense. */
struct filter *filter_new(const struct filter_texts *texts);
void filter_free(struct filter *filter);

/* Gives functions their roles. NULL is the filter of which nothing was asked. */
void filter_apply(const struct filter *filter, struct heap *heap);

#endif
