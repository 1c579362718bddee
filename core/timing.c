/* SPDX-License-Identifier: MIT */
#include "core/timing.h"

#include "core/process.h"
#include "core/region.h"
#include "core/stacks.h"
#include "core/sys.h"

static SAMPLED void add_look_up_ticks(uint64_t ticks)
{
  struct region_header *header = region_header();
  if (ticks > 0 && process_is_settled() && header != NULL)
    atomic_fetch_add_explicit(&header->look_up_ticks, ticks, memory_order_relaxed);
}

void timing_add_sample(uint64_t begin, uint64_t decision_ticks)
{
  uint64_t ticks = begin != 0 ? ticks_since(begin) : 0;
  struct region_header *header = region_header();
  if (ticks > 0 && process_is_settled() && header != NULL) {
    atomic_fetch_add_explicit(&header->timed_ticks, decision_ticks + ticks + ticks_of_ns(TIMING_MISPREDICTED_NS),
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&header->timed_samples, 1, memory_order_relaxed);
  }
  if (this_thread.look_up_ticks > 0) {
    add_look_up_ticks(this_thread.look_up_ticks);
    this_thread.look_up_ticks = 0;
  }
}

void timing_end_miss(uint64_t begin)
{
  uint64_t ticks = ticks_since(begin);
  if (ticks > 0)
    this_thread.look_up_ticks += (uint32_t)(TIMING_MISSES_ONE_IN * (ticks + ticks_of_ns(TIMING_MISPREDICTED_NS)));
}

void timing_add_free(uint64_t begin, bool is_found)
{
  uint64_t one_in = atomic_load_explicit(&lanes_turn_mask, memory_order_relaxed) + 1u;
  uint64_t ticks = one_in * (ticks_since(begin) + ticks_of_ns(TIMING_MISPREDICTED_NS));
  if (is_found && ticks > 0)
    add_look_up_ticks(ticks);
  else
    this_thread.look_up_ticks += (uint32_t)ticks;
}

/* The whole. */

static void leave_clocks(struct region_header *header, double ticks_per_second)
{
  uint64_t cpu_ns = sys_cpu_ns();
  atomic_store_explicit(&header->ticks_per_second, (uint64_t)ticks_per_second, memory_order_relaxed);
  if (cpu_ns != 0)
    atomic_store_explicit(&header->cpu_ns, cpu_ns, memory_order_relaxed);
}

uint64_t timing_sampling_ns(void)
{
  struct region_header *header = region_header();
  if (header == NULL)
    return 0;
  uint64_t timed = atomic_load_explicit(&header->timed_samples, memory_order_relaxed);
  double per_second = ticks_per_second();
  if (timed == 0 || per_second == 0)
    return 0;
  if (process_is_settled())
    leave_clocks(header, per_second);
  double ticks_per_sample = (double)atomic_load_explicit(&header->timed_ticks, memory_order_relaxed) / (double)timed;
  double look_up_ticks = (double)atomic_load_explicit(&header->look_up_ticks, memory_order_relaxed);
  return (uint64_t)((ticks_per_sample * (double)stacks_samples() + look_up_ticks) * 1e9 / per_second);
}
