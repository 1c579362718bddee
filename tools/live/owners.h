/* SPDX-License-Identifier: MIT */
/* Whose memory each stack of a heap is, and what those few who had most held at each moment of a past.
 *
 * Memory: owners have their own texts; the heap may go.
 */
#ifndef HEAPPROF_OWNERS_H
#define HEAPPROF_OWNERS_H

#include "tools/scrape/stack_keys.h"

enum { OWNERS_SHOWN = 8 };

struct owners;

/* Of a heap with names, whose functions have roles; `keys`: of its samples. NULL: they are known by their numbers. */
struct owners *owners_of(const struct heap *heap, const GArray *keys);
void owners_free(struct owners *owners);

/* Adds a moment (moment.h), as the next one. */
void owners_add_moment(struct owners *owners, const void *bytes, size_t size);

/* Adds a moment by parts: what one sample holds then; and its end. */
void owners_add_sample(struct owners *owners, uint32_t sample, double bytes);
void owners_end_moment(struct owners *owners);

struct owner_past {
  const char *name;
  const double *bytes; /* by moment, in the order in which they were added */
  bool is_rest;        /* all that are not shown */
};

/* struct owner_past: those that had most at some moment, the largest first; the rest comes last, if there is any.
 * They are the owners'. */
GArray *owners_shown(struct owners *owners);

#endif
