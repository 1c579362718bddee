/* SPDX-License-Identifier: MIT */
/* What the counts of a text profile stand for, as the makers of jemalloc, gperftools and Go say: an object of S bytes
 * was recorded with the probability 1 - exp(-S/R), so each that was counts for 1 / (1 - exp(-S/R)), S being the mean
 * size of those counted together.
 *
 * How certain that is can be told where all have one size. jemalloc since 5.3 weighs each size by itself before it adds
 * them up: there a bound is known for mixed sizes, too.
 */
#ifndef HEAPPROF_LEGACY_ESTIMATE_H
#define HEAPPROF_LEGACY_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

struct legacy_sampling {
  int64_t interval_bytes; /* R; 1: every allocation was recorded; 0: unknown, so counts are left as they are */
  bool weighs_sizes;      /* as jemalloc does */
};

struct legacy_estimate {
  int64_t objects, bytes;
  double variance_objects, variance_bytes;
  bool is_certainty_known;
};

struct legacy_estimate legacy_estimate(int64_t objects, int64_t bytes, const struct legacy_sampling *sampling);

#endif
