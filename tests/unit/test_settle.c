/* SPDX-License-Identifier: MIT */
#include "core/settle.h"

#include "core/live/live.h"
#include "core/peak.h"
#include "core/process.h"
#include "core/record.h"
#include "core/sampler.h"
#include "core/stacks.h"
#include "unit.h"

#include <sched.h>
#include <sys/syscall.h>

static struct config config;
static uint32_t stack;

static const void *address(uintptr_t number)
{
  return (const void *)(0x7f0000001010 + number * 64);
}

enum { SIZE_BYTES = 100 };
static struct sample_weight weight; /* of each, at the usual interval */

static void allocate(uintptr_t number)
{
  require(
      live_add(address(number), (struct live_entry){.stack = stack, .halves = HALF_BOTH, .size_bytes = SIZE_BYTES}));
  stacks_count_allocation(stack, weight, NULL);
}

static struct stack_sums sums(void)
{
  return stacks_read((const struct stack_record *)region_at(stack));
}

/* A process with 100 live samples of 150, as the constructor would set it up. */
static void prepare(void)
{
  static const uintptr_t pcs[] = {0x400100, 0x400200};
  config = unit_region();
  sampler_init(config.sample_interval_bytes, 1, true);
  weight = sampler_weigh(SIZE_BYTES);
  weight.halves = HALF_BOTH;
  require(settle_init(&config, "unit", "") && process_is_settled());
  stack = stacks_intern(pcs, COUNT_OF(pcs), 0);
  for (uintptr_t i = 0; i < 150; i++)
    allocate(i);
  for (uintptr_t i = 100; i < 150; i++)
    record_free(address(i));
  require(sums().allocated.samples == 150 && sums().in_use.samples == 100 && live_count() == 100);
}

static void must_be_as_before(void)
{
  require(sums().allocated.samples == 150 && sums().in_use.samples == 100 && live_count() == 100);
  require(process_is_settled() && region_is_own());
}

static void settle_in_child(void)
{
  char parent_path[1200];
  strcpy(parent_path, region_path());
  require(!process_is_settled() && !region_is_own());
  for (uintptr_t i = 0; i < 10; i++) /* before it has a region: only the live table changes */
    record_free(address(i));
  require(strcmp(region_path(), parent_path) == 0 && sums().in_use.samples == 100);
  require(settle() && process_is_settled() && region_is_own());
  require(strcmp(region_path(), parent_path) != 0 && region_header()->pid == (uint32_t)getpid());
  /* What is inherited counts as allocated, what was freed before does not. */
  require(sums().allocated.samples == 90 && sums().in_use.samples == 90 && live_count() == 90);
  struct peak_moments moments = peak_moments(region_header());
  require(moments.peaks[0] > 0 && moments.peaks[0] == moments.peaks[1] && moments.peaks[0] % 90 == 0);
  require(region_header()->halves[0].in_use_bytes_q4 == moments.peaks[0]);
  require(peak_read((const struct stack_record *)region_at(stack), &moments).bytes_q4 == sums().in_use.bytes_q4);
  record_free(address(50));
  allocate(200);
  require(sums().allocated.samples == 91 && sums().in_use.samples == 90);
  require(sums().in_use.objects_q16 == 90 * weight.objects_q16);
  require(settle() && sums().allocated.samples == 91); /* once is enough */
  region_remove_file();
}

CHILD_TEST(forked_child_takes_over)
{
  prepare();
  require(region_is_own());
  require(unit_fork(settle_in_child) == UNIT_PASSED);
  must_be_as_before();
}

static void fork_twice(void)
{
  require(unit_fork(settle_in_child) == UNIT_PASSED); /* a child of one that never sampled */
  require(!process_is_settled());
  settle_in_child();
  require(sums().in_use.samples == 90);
}

CHILD_TEST(grandchildren_too)
{
  prepare();
  require(unit_fork(fork_twice) == UNIT_PASSED);
  must_be_as_before();
}

CHILD_TEST(raw_clone_is_a_fork)
{
  int status;
  prepare();
  long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
  if (child == 0) {
    bool is_settled = process_is_settled();
    settle_in_child();
    _exit(is_settled ? 1 : UNIT_REACHED_END);
  }
  require(waitpid((pid_t)child, &status, 0) == child && status == UNIT_PASSED);
  must_be_as_before();
}

/* It has its parent's memory: what it counts is its parent's. But it does not own the file. */
CHILD_TEST(vfork_child_is_its_parent)
{
  int status;
  prepare();
  if (UNIT_IS_THREAD_SANITIZED)
    return; /* there vfork is a fork */
  pid_t child = vfork();
  if (child == 0) {
    bool right = process_is_settled() && !region_is_own();
    region_remove_file();
    _exit(right ? UNIT_REACHED_END : 1);
  }
  require(waitpid(child, &status, 0) == child && status == UNIT_PASSED);
  require(access(region_path(), F_OK) == 0);
  must_be_as_before();
}

/* Where the kernel does not know MADV_WIPEONFORK, the fork handler says so. */
static void told_by_the_handler(void)
{
  settle_was_forked();
  settle_in_child();
}

CHILD_TEST(fork_handler_says_the_same)
{
  prepare();
  require(unit_fork(told_by_the_handler) == UNIT_PASSED);
  must_be_as_before();
}

static void *settle_and_free(void *number)
{
  uintptr_t first = 20 * (uintptr_t)number;
  for (uintptr_t i = first; i < first + 10; i++)
    record_free(address(i));
  while (!settle()) /* another thread is about it, and takes longer than one may wait */
    ;
  for (uintptr_t i = first + 10; i < first + 20; i++)
    record_free(address(i));
  return NULL;
}

static void settle_with_threads(void)
{
  char directory_before[64];
  unsigned files = unit_count_files(unit_directory());
  strcpy(directory_before, unit_directory());
  unit_run_threads(5, settle_and_free);
  require(unit_count_files(directory_before) == files + 1); /* one of them adopted */
  require(live_count() == 0 && sums().in_use.samples == 0 && sums().in_use.objects_q16 == 0);
  require(sums().allocated.samples >= 50 && sums().allocated.samples <= 100);
  region_remove_file();
}

CHILD_TEST(threads_of_a_child_settle_together)
{
  prepare();
  for (int i = 0; i < 20; i++)
    require(unit_fork(settle_with_threads) == UNIT_PASSED);
  must_be_as_before();
}

static void take_in_child(void)
{
  struct live_entry entry;
  require(record_take(address(3), &entry) && entry.stack == stack);
  require(region_is_own() && sums().in_use.samples == 100);
  record_put_back(address(3), entry);
  require(record_take(address(3), &entry));
  record_taken_was_freed(entry);
  require(sums().in_use.samples == 99 && !record_take(address(3), &entry));
}

CHILD_TEST(realloc_in_a_child_settles_it)
{
  prepare();
  require(unit_fork(take_in_child) == UNIT_PASSED);
  must_be_as_before();
}

CHILD_TEST(process_without_a_region_cannot_settle)
{
  config_set_defaults(&config);
  require(settle_init(&config, "unit", "") && process_is_settled() && !region_is_own());
  settle_was_forked();
  require(!settle() && !process_is_settled());
}

static uint64_t lost_samples(void)
{
  return region_header()->lost[LOSS_region];
}

/* The constructor has run, nothing was sampled yet. */
static void prepare_without_region(void)
{
  unit_config(&config);
  require(settle_init(&config, "unit", "") && region_header() == NULL);
}

CHILD_TEST(samples_before_there_is_a_region_count_as_lost)
{
  prepare_without_region();
  settle_lose_sample();
  settle_lose_sample();
  require(settle_lost_everything());
  settle_begin();
  require(region_is_own() && lost_samples() == 2 && !settle_lost_everything());
  settle_lose_sample();
  require(lost_samples() == 3);
}

enum { LOSERS = 4 };
static _Atomic unsigned losing, lost;

/* The last thread makes the region when all others lose samples, which they do until it is there. */
static void *lose_or_begin(void *number)
{
  if ((uintptr_t)number == LOSERS) {
    while (losing < LOSERS)
      arch_pause();
    settle_begin();
    return NULL;
  }
  losing++;
  for (bool is_there = false; !is_there; lost++) {
    is_there = region_header() != NULL;
    settle_lose_sample();
  }
  return NULL;
}

CHILD_TEST(none_is_forgotten_while_the_region_is_made)
{
  prepare_without_region();
  unit_run_threads(LOSERS + 1, lose_or_begin);
  require(lost_samples() == lost);
}

static void lose_in_child(void)
{
  settle_lose_sample();
  require(!process_is_settled() && lost_samples() == 3); /* its parent's */
  require(settle() && lost_samples() == 1);
  settle_lose_sample();
  require(lost_samples() == 2);
  region_remove_file();
}

CHILD_TEST(child_counts_what_it_lost_itself)
{
  prepare();
  for (int i = 0; i < 3; i++)
    settle_lose_sample();
  require(unit_fork(lose_in_child) == UNIT_PASSED);
  require(lost_samples() == 3);
  must_be_as_before();
}

static void record_in_child(void)
{
  struct unwind_start start = UNWIND_START_HERE();
  record_exact_units(5); /* not settled: not counted anywhere */
  record_allocation(address(500), 64, &start, &(struct sampler_decision){.is_sampled = true});
  uint64_t inherited = region_header()->exact_units; /* what lived in the parent, as estimated */
  uint64_t objects = 100 * weight.objects_q16, bytes_q4 = 100 * tally_bytes_q4(weight);
  require(region_is_own() && inherited == (objects + (1 << 15)) / 65536 + (bytes_q4 + 8) / 16);
  record_exact_units(5);
  require(region_header()->exact_units == inherited + 5 && live_count() == 101);
}

CHILD_TEST(first_sample_of_a_child_settles_it)
{
  prepare();
  record_init(16);
  record_exact_units(1000);
  require(unit_fork(record_in_child) == UNIT_PASSED);
  require(region_header()->exact_units == 1000);
  must_be_as_before();
}

/* What samples cost is told of their frees, too. */
CHILD_TEST(look_ups_are_timed)
{
  struct unwind_start start = UNWIND_START_HERE();
  prepare(); /* frees 50 */
  uint64_t ticks = region_header()->look_up_ticks;
  require(ticks >= 8);
  for (uintptr_t i = 1000; i < 1032; i++)
    record_free(address(i)); /* there is none, but the page holds one: that is counted at the next sample */
  require(region_header()->look_up_ticks == ticks && this_thread.look_up_ticks > 0);
  record_init(16);
  record_allocation(address(2000), 64, &start, &(struct sampler_decision){.is_sampled = true});
  require(region_header()->look_up_ticks > ticks && this_thread.look_up_ticks == 0);
  ticks = region_header()->look_up_ticks;
  for (uintptr_t i = 50; i < 66; i++)
    record_free(address(i));
  require(region_header()->look_up_ticks > ticks);
}

/* One whose free never reached us: its address is given out again. */
CHILD_TEST(address_given_out_twice_was_freed)
{
  struct unwind_start start = UNWIND_START_HERE();
  prepare();
  record_init(16);
  record_allocation(address(3), 10, &start, &(struct sampler_decision){.is_sampled = true});
  require(live_count() == 100 && sums().in_use.samples == 99);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(forked_child_takes_over),
      cmocka_unit_test(grandchildren_too),
      cmocka_unit_test(raw_clone_is_a_fork),
      cmocka_unit_test(vfork_child_is_its_parent),
      cmocka_unit_test(fork_handler_says_the_same),
      cmocka_unit_test(threads_of_a_child_settle_together),
      cmocka_unit_test(realloc_in_a_child_settles_it),
      cmocka_unit_test(process_without_a_region_cannot_settle),
      cmocka_unit_test(samples_before_there_is_a_region_count_as_lost),
      cmocka_unit_test(none_is_forgotten_while_the_region_is_made),
      cmocka_unit_test(child_counts_what_it_lost_itself),
      cmocka_unit_test(first_sample_of_a_child_settles_it),
      cmocka_unit_test(look_ups_are_timed),
      cmocka_unit_test(address_given_out_twice_was_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
