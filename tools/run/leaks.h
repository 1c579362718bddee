/* SPDX-License-Identifier: MIT */
/* What of a profile was still in use at the end by mistake: not what a parent has handed down by fork, what the
 * run-time libraries keep (filter/kept.h), or what the caller was told to ignore.
 */
#ifndef HEAPPROF_LEAKS_H
#define HEAPPROF_LEAKS_H

#include "tools/filter/filter.h"
#include "tools/heap/heap.h"

/* An estimate of one type, and who owns most of it. */
struct leaks_sum {
  double value, variance, of_site;
  char site[256]; /* "": nobody */
};

/* What did not count, in use. */
struct leaks_left_out {
  double kept_bytes, kept_objects, ignored_bytes, ignored_objects;
};

struct leaks {
  struct leaks_sum bytes, objects;
  struct leaks_left_out left_out;
};

/* Of the heap of a process that has ended; `filter` as filter_new made it, of what is ignored (NULL: nothing). The heap
 * is changed, and of no use afterwards. */
void leaks_measure(struct heap *heap, const struct filter *filter, struct leaks *leaks);

void leaks_add_left_out(struct leaks_left_out *sum, const struct leaks_left_out *left_out);

/* One line about what was left out; nothing where there is nothing. */
void leaks_tell(const struct leaks_left_out *left_out);

#endif
