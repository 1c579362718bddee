/* SPDX-License-Identifier: MIT */
#define HEAPPROF_API __attribute__((visibility("default")))
#include "include/heapprof.h"

#include "core/arch/arch.h"
#include "core/dump.h"
#include "core/live/live.h"
#include "core/peak.h"
#include "core/process.h"
#include "core/record.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/settle.h"
#include "core/timing.h"
#include "interpose/allocator_counters.h"
#include "interpose/inert.h"

#include <errno.h>
#include <string.h>

ARCH_ENTRY int heapprof_dump(const char *path)
{
  struct unwind_start start = UNWIND_START_HERE();
  record_exact_units(sampler_flush());
  allocator_counters_leave(&start);
  int result = dump_write(path, "heapprof_dump");
  if (result == 0)
    return 0;
  errno = -result;
  return -1;
}

ARCH_ENTRY void heapprof_stop(void)
{
  sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
}

ARCH_ENTRY void heapprof_start(void)
{
  sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
}

static NOINLINE void add_estimates(struct heapprof_stats *stats)
{
  uint64_t alloc_objects = 0, alloc_bytes = 0, inuse_objects = 0, inuse_bytes = 0, position = 0;
  const struct stack_record *stack;
  while ((stack = stacks_next(&position)) != NULL) {
    struct stack_sums sums = stacks_read(stack);
    stats->samples += sums.allocated.samples;
    stats->live_samples += sums.in_use.samples;
    alloc_objects += sums.allocated.objects_q16;
    alloc_bytes += sums.allocated.bytes_q4;
    inuse_objects += sums.in_use.objects_q16;
    inuse_bytes += sums.in_use.bytes_q4;
  }
  stats->alloc_objects = alloc_objects >> 16;
  stats->alloc_bytes = alloc_bytes >> 4;
  stats->inuse_objects = inuse_objects >> 16;
  stats->inuse_bytes = inuse_bytes >> 4;
  stats->estimated_units = stats->alloc_objects + stats->alloc_bytes;
}

static NOINLINE void read_stats(struct heapprof_stats *stats)
{
  memset(stats, 0, sizeof *stats);
  stats->sampling_interval_bytes = sampler_interval();
  stats->inert_reason = inert_reason();
  const struct region_header *header = region_header();
  if (header == NULL || !settle())
    return;
  record_exact_units(sampler_flush());
  add_estimates(stats);
  stats->peak_inuse_bytes = stacks_peak_bytes();
  stats->stacks = atomic_load_explicit(&header->stacks, memory_order_relaxed);
  stats->exact_units = stacks_exact_units();
  stats->lost_live_table = atomic_load_explicit(&header->lost[LOSS_live_table], memory_order_relaxed);
  stats->lost_region = atomic_load_explicit(&header->lost[LOSS_region], memory_order_relaxed);
  stats->lost_stack_table = atomic_load_explicit(&header->lost[LOSS_stack_table], memory_order_relaxed);
  stats->lost_short_stack = atomic_load_explicit(&header->lost[LOSS_short_stack], memory_order_relaxed);
  stats->lost_compile_busy = atomic_load_explicit(&header->lost[LOSS_compile_busy], memory_order_relaxed);
  stats->own_bytes = atomic_load_explicit(&header->own_bytes, memory_order_relaxed);
  stats->sampling_ns = timing_sampling_ns();
}

static int fail(int number)
{
  errno = number;
  return -1;
}

ARCH_ENTRY int heapprof_stats(struct heapprof_stats *stats)
{
  if (stats == NULL)
    return fail(EINVAL);
  read_stats(stats);
  return 0;
}

/* Counting. */

enum { COUNTS_NOTHING, COUNTS_CHANGES, COUNTS };

/* With the epoch that it is of: a forked child counts nothing. */
static _Atomic uint64_t counting;
static struct heapprof_stats at_begin; /* belongs to whoever made `counting` COUNTS_CHANGES */
static bool was_stopped;

/* Takes what belongs to whoever counts, or gives it on. */
static bool turn(uint64_t from, uint64_t to)
{
  uint64_t word = atomic_load_explicit(&counting, memory_order_relaxed);
  uint64_t state = process_is_of_now(word) ? word & ~process_epoch() : COUNTS_NOTHING;
  return state == from && atomic_compare_exchange_strong_explicit(&counting, &word, process_epoch() | to,
                                                                  memory_order_acq_rel, memory_order_relaxed);
}

static uint64_t lost_of(const struct heapprof_stats *stats)
{
  return stats->lost_live_table + stats->lost_region;
}

ARCH_ENTRY int heapprof_count_begin(void)
{
  if (sampler_interval() != 1 || inert_reason() != NULL)
    return fail(ENOTSUP);
  if (!settle_for_sample())
    return fail(ENOMEM);
  if (!turn(COUNTS_NOTHING, COUNTS_CHANGES))
    return fail(EBUSY);
  was_stopped = atomic_load_explicit(&sampler_mode, memory_order_relaxed) == SAMPLER_STOPPED;
  read_stats(&at_begin);
  peak_set_mark();
  sampler_switch(SAMPLER_STOPPED, SAMPLER_ON);
  (void)turn(COUNTS_CHANGES, COUNTS);
  return 0;
}

static struct heapprof_counts counts_since_begin(void)
{
  struct heapprof_stats now;
  uint64_t peak_bytes = peak_since_mark_bytes();
  read_stats(&now);
  return (struct heapprof_counts){
      .alloc_objects = now.alloc_objects - at_begin.alloc_objects,
      .alloc_bytes = now.alloc_bytes - at_begin.alloc_bytes,
      .peak_bytes = peak_bytes > at_begin.inuse_bytes ? peak_bytes - at_begin.inuse_bytes : 0,
      .growth_objects = (int64_t)(now.inuse_objects - at_begin.inuse_objects),
      .growth_bytes = (int64_t)(now.inuse_bytes - at_begin.inuse_bytes),
      .lost = lost_of(&now) - lost_of(&at_begin),
  };
}

ARCH_ENTRY int heapprof_count_end(struct heapprof_counts *counts, size_t size)
{
  if (counts == NULL || sampler_interval() != 1 || !settle() || !turn(COUNTS, COUNTS_CHANGES))
    return fail(EINVAL);
  if (was_stopped)
    sampler_switch(SAMPLER_ON, SAMPLER_STOPPED);
  struct heapprof_counts all = counts_since_begin();
  memset(counts, 0, size);
  memcpy(counts, &all, size < sizeof all ? size : sizeof all);
  (void)turn(COUNTS_CHANGES, COUNTS_NOTHING);
  return 0;
}

ARCH_ENTRY const char *heapprof_version(void)
{
  return PACKAGE_VERSION;
}
