/* SPDX-License-Identifier: MIT */
/* Beginnings and ends of counting in several threads, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/region.h"
#include "core/sys.h"

/* One for each thread. */
static int errors[EXPLORER_THREADS];
#undef errno
#define errno errors[explorer_thread()]

#include "interpose/api.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic int sampler_mode = SAMPLER_ON;
static struct region_header header;

struct region_header *region_header(void)
{
  return &header;
}

bool settle(void)
{
  return true;
}

bool settle_for_sample(void)
{
  return true;
}

uint64_t sampler_interval(void)
{
  return 1;
}

uint64_t sampler_flush(void)
{
  return 0;
}

const char *inert_reason(void)
{
  return NULL;
}

void record_exact_units(uint64_t units)
{
  (void)units;
}

struct stack_record *stacks_next(uint64_t *position)
{
  (void)position;
  return NULL;
}

uint64_t stacks_exact_units(void)
{
  return 0;
}

uint64_t stacks_peak_bytes(void)
{
  return 0;
}

uint64_t timing_sampling_ns(void)
{
  return 0;
}

void peak_set_mark(void) {}

uint64_t peak_since_mark_bytes(void)
{
  return 0;
}

int dump_write(const char *path, const char *reason)
{
  (void)path;
  (void)reason;
  return 0;
}

void allocator_counters_leave(const struct unwind_start *start)
{
  (void)start;
}

static void begin_and_end(void)
{
  struct heapprof_counts counts;
  if (heapprof_count_begin() == 0)
    explorer_require(heapprof_count_end(&counts, sizeof counts) == 0);
}

static void end(void)
{
  struct heapprof_counts counts;
  (void)heapprof_count_end(&counts, sizeof counts);
}

static void begin(void)
{
  (void)heapprof_count_begin();
}

static const struct explorer_scenario two_count = {.name = "two count", .threads = {begin_and_end, begin_and_end}};
static const struct explorer_scenario ended_elsewhere = {.name = "one begins, another one ends",
                                                         .threads = {begin, end, begin}};

static const struct explorer_scenario *const scenarios[] = {&two_count, &ended_elsewhere};

ORDER_MAIN(one_counts_at_a_time, "core/sampler.h", NULL)
