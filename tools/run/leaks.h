/* SPDX-License-Identifier: MIT */
/* What of a profile was still in use at the end by mistake: not what a parent has handed down by fork, what the
 * run-time libraries keep (filter/kept.h), or what the caller was told to ignore.
 */
#ifndef HEAPPROF_LEAKS_H
#define HEAPPROF_LEAKS_H

#include "tools/filter/filter.h"
#include "tools/heap/heap.h"

/* What did not count, in use. */
struct leaks_left_out {
  double kept_bytes, kept_objects, ignored_bytes, ignored_objects;
};

/* The profile of a process without what has not leaked, which is added to *left_out; `filter` as filter_new made it.
 * NULL after a message. */
struct heap *leaks_read(const char *path, const struct filter *filter, struct leaks_left_out *left_out);

/* One line about what was left out; nothing where there is nothing. */
void leaks_tell(const struct leaks_left_out *left_out);

#endif
