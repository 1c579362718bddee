/* SPDX-License-Identifier: MIT */
/* The most that several processes held together at a moment, of estimates: as that of one (core/peak.h). Each half of
 * the samples, of all processes together, chooses its own moment, the highest of its sums; what the other half stands
 * for then is the peak as that one sees it, and both are added up. The highest of noisy sums, read where it is highest,
 * would be too high.
 *
 * Where values are exact, both halves are the same, and so are the moments: the peak is the highest sum.
 *
 * One thread. */
#ifndef HEAPPROF_TREE_MOMENTS_H
#define HEAPPROF_TREE_MOMENTS_H

#include "tools/state/region_halves.h"

/* What is held, by the one or all. */
struct tree_halves {
  struct region_half half[HALVES];
};

struct tree_moments {
  double chosen[HALVES];           /* the highest sum of each half */
  struct region_half read[HALVES]; /* of the other one then */
  bool is_open[HALVES];            /* nothing was freed since, as far as is seen */
};

/* `sign` 1: with it as well; -1: without it. */
void tree_halves_add(struct tree_halves *sum, const struct tree_halves *held, double sign);

/* Is that the moment of the half, so far? */
bool tree_moments_is_higher(const struct tree_moments *moments, unsigned chooser, const struct tree_halves *held);

/* All of them at a moment that is over: taken if it is. */
void tree_moments_offer(struct tree_moments *moments, unsigned chooser, const struct tree_halves *held);

/* All of them now. A moment lasts as long as nothing is freed: the last sample of a half is some way below the top. */
void tree_moments_look(struct tree_moments *moments, const struct tree_halves *held);

struct region_half tree_moments_peak(const struct tree_moments *moments);

#endif
