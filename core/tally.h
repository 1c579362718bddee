/* SPDX-License-Identifier: MIT */
/* Sums over samples: what one sample adds to them, and how they are read while others add.
 *
 * Threads, signals: lock-free, any number of writers and readers. Fork: nothing to do.
 */
#ifndef HEAPPROF_TALLY_H
#define HEAPPROF_TALLY_H

#include "core/compiler.h"
#include "core/region_format.h"

#include <stdint.h>

/* What one sample stands for. The same values go in when it is allocated and out when it is freed, so in-use sums come
 * back to exactly zero. */
struct sample_weight {
  uint64_t size_bytes : 57;
  uint64_t halves : 2; /* that it is in (core/peak.h); HALF_NONE: samples are not halved */
  uint64_t objects_q16;
};

enum { HALF_NONE = 0, HALF_FIRST = 1, HALF_SECOND = 2, HALF_BOTH = 3 };

/* The estimated bytes of a sample, as tallies sum them: in 1/16. */
static inline uint64_t tally_bytes_q4(struct sample_weight weight)
{
  return (uint64_t)((double)weight.size_bytes * ((double)weight.objects_q16 * 0x1p-16) * 16 + 0.5);
}

SAMPLED void tally_count(struct tally *tally, struct sample_weight weight);

/* So many, which nothing was estimated of. */
void tally_count_exactly(struct tally *tally, uint64_t objects, uint64_t bytes);

/* The sums of one tally at one moment. */
struct tally_sums {
  uint64_t samples;
  uint64_t objects_q16;
  uint64_t bytes_q4;
  double variance_objects;
  double variance_bytes;
};

/* Of one stack. */
struct stack_sums {
  struct tally_sums allocated;
  struct tally_sums in_use; /* allocated minus freed, never negative */
};

SAMPLED struct stack_sums tally_read(const struct tally *allocated, const struct tally *freed);

/* The same where there is little stack. */
void tally_read_both(const struct tally *allocated, const struct tally *freed, struct tally_sums *all,
                     struct tally_sums *left);

#endif
