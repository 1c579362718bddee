/* SPDX-License-Identifier: MIT */
#include "core/lanes/spares.h"

#include "core/lanes/lanes.h"

static struct {
  _Alignas(LANE_LINE_BYTES) _Atomic uint64_t bytes_q4;
} spares[LANES];

/* Lanes that ever had some, a bit each; on a line that is hardly ever written. */
static struct {
  _Alignas(LANE_LINE_BYTES) _Atomic uint32_t lanes;
} used;

uint64_t spare_take(uint64_t bytes_q4)
{
  _Atomic uint64_t *spare = &spares[lane_of_thread()].bytes_q4;
  uint64_t there = atomic_load_explicit(spare, memory_order_relaxed), taken;
  do {
    if ((int64_t)there <= 0)
      return 0;
    taken = there < bytes_q4 ? there : bytes_q4;
  } while (
      !atomic_compare_exchange_weak_explicit(spare, &there, there - taken, memory_order_relaxed, memory_order_relaxed));
  return taken;
}

static COLD void use(unsigned lane)
{
  uint32_t lanes = atomic_load_explicit(&used.lanes, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&used.lanes, &lanes, lanes | 1u << lane, memory_order_relaxed,
                                                memory_order_relaxed))
    ;
}

uint64_t spare_add(uint64_t bytes_q4)
{
  unsigned lane = lane_of_thread();
  if (UNLIKELY((atomic_load_explicit(&used.lanes, memory_order_relaxed) >> lane & 1) == 0))
    use(lane);
  return bytes_q4 + atomic_fetch_add_explicit(&spares[lane].bytes_q4, bytes_q4, memory_order_relaxed);
}

uint64_t spares_of_all(void)
{
  uint64_t sum = 0;
  for (uint32_t left = atomic_load_explicit(&used.lanes, memory_order_relaxed); left != 0; left &= left - 1)
    sum += atomic_load_explicit(&spares[__builtin_ctz(left)].bytes_q4, memory_order_relaxed);
  return sum;
}

void spares_reset(void)
{
  for (unsigned lane = 0; lane < LANES; lane++)
    atomic_store_explicit(&spares[lane].bytes_q4, 0, memory_order_relaxed);
}
