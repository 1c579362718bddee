/* SPDX-License-Identifier: MIT */
#include "core/ticks.h"

uint32_t ticks_per_ns_q16 = 1 << 16;

/* Both clocks at the same moment. */
struct moment {
  uint64_t ticks, ns;
};

static struct moment start;

/* Whoever lost the core between the two would measure any speed: the best of some. */
static struct moment now(void)
{
  enum { ATTEMPTS = 4 };
  struct moment best = {0, 0};
  uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < ATTEMPTS; i++) {
    uint64_t begin = ticks_now(), ns = clock_ns(CLOCK_MONOTONIC), took = ticks_now() - begin;
    if (took < shortest) {
      shortest = took;
      best = (struct moment){begin + took / 2, ns};
    }
  }
  return best;
}

void ticks_init(void)
{
  start = now();
}

double ticks_per_second(void)
{
  uint64_t told = arch_ticks_per_second();
  if (told != 0)
    return (double)told;
  struct moment end = now();
  return end.ns > start.ns && start.ns != 0 ? (double)(end.ticks - start.ticks) * 1e9 / (double)(end.ns - start.ns) : 0;
}

void ticks_settle(void)
{
  double per_ns = ticks_per_second() / 1e9;
  if (per_ns > 1e-3 && per_ns < 1e2) /* else a clock was set, or stood still */
    ticks_per_ns_q16 = (uint32_t)(per_ns * 65536 + 0.5);
}
