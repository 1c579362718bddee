/* SPDX-License-Identifier: MIT */
/* What the two halves of the samples stand for (core/peak.h), each halved, so that both add up. With an interval of 1
 * there are no halves: each is half of the whole. */
#ifndef HEAPPROF_REGION_HALVES_H
#define HEAPPROF_REGION_HALVES_H

#include "tools/state/region_log.h"

struct region_half {
  double bytes, variance;
};

struct region_halves {
  /* In use, without what was inherited. */
  struct region_half now[HALVES];
  /* The same at the moment that the other half chose, which is `moments`. */
  struct region_half then[HALVES];
  /* What was inherited and is still there; `inherited_bytes`: of all samples. */
  struct region_half inherited[HALVES];
  double inherited_bytes;
  double moments[HALVES]; /* the highest bytes of each half, with what was inherited */
};

/* The highest bytes of each half, and what it has now, with what was inherited: from the header alone. */
void region_halves_of_header(const struct region_header *header, double highest[HALVES], double now[HALVES]);
double region_halves_inherited(const struct region_header *header);

/* Walks over all stacks. */
void region_halves_read(struct region_log *log, struct region_halves *halves);

#endif
