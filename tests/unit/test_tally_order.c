/* SPDX-License-Identifier: MIT */
/* The tally under every order that C11 allows (tests/order/explorer.h). */
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#include "core/tally.c"

#include "unit.h"

/* One object of 1 byte stands for itself; one of 3 bytes stands for two. */
static const struct sample_weight one = {.size_bytes = 1, .objects_q16 = 1 << 16};
static const struct sample_weight heavy = {.size_bytes = 3, .objects_q16 = 2 << 16};

static struct tally allocated, freed;

static void count_one(void)
{
  tally_count(&allocated, one);
}

static void count_heavy(void)
{
  tally_count(&allocated, heavy);
}

/* What the reader calls consistent belongs together. */

static void read_ones(void)
{
  struct tally_sums sums;
  if (read_once(&allocated, &sums)) {
    explorer_require(sums.objects_q16 == sums.samples << 16);
    explorer_require(sums.bytes_q4 == sums.samples * 16);
  }
}

static void read_heavy(void)
{
  struct tally_sums sums;
  if (read_once(&allocated, &sums)) {
    explorer_require(sums.objects_q16 == sums.samples << 17 && sums.bytes_q4 == sums.samples * 96);
    explorer_require(sums.variance_objects == 2.0 * (double)sums.samples);
    explorer_require(sums.variance_bytes == 18.0 * (double)sums.samples);
  }
}

static const struct explorer_scenario two_writers = {.name = "two writers and a reader",
                                                     .threads = {count_one, count_one, read_ones}};
static const struct explorer_scenario weighted_writer = {.name = "a writer of variances, and a reader",
                                                         .threads = {count_heavy, read_heavy}};

/* Nothing is lost between writers. */

#define LATEST(field) atomic_load_explicit(&allocated.field, memory_order_relaxed)

static void expect_all(void)
{
  explorer_require(LATEST(begun) == 2 && LATEST(ended) == 2);
  explorer_require(LATEST(objects_q16) == 4 << 16 && LATEST(bytes_q4) == 192);
  explorer_require(LATEST(variance_objects) == 4 && LATEST(variance_bytes) == 36);
}

static const struct explorer_scenario weighted_writers = {
    .name = "two writers of variances", .threads = {count_heavy, count_heavy}, .finish = expect_all};

/* What one thread allocated and another one freed is never freed more than allocated, even in sums that do not agree. */

static _Atomic int handed_over;

static void allocate_and_hand_over(void)
{
  tally_count(&allocated, heavy);
  atomic_store_explicit(&handed_over, 1, memory_order_release);
}

static void free_what_was_handed_over(void)
{
  if (atomic_load_explicit(&handed_over, memory_order_acquire) == 1)
    tally_count(&freed, heavy);
}

static void read_both(void)
{
  struct tally_sums gone, all;
  (void)read_once(&freed, &gone);
  (void)read_once(&allocated, &all);
  explorer_require(gone.samples <= all.samples && gone.objects_q16 <= all.objects_q16);
  explorer_require(gone.bytes_q4 <= all.bytes_q4 && gone.variance_objects <= all.variance_objects);
  explorer_require(gone.variance_bytes <= all.variance_bytes);
}

static const struct explorer_scenario handed = {
    .name = "freed elsewhere", .threads = {allocate_and_hand_over, free_what_was_handed_over, read_both}};

static const struct explorer_scenario *const scenarios[] = {&two_writers, &weighted_writer, &weighted_writers, &handed};

static void sums_that_agree_belong_together(void **state)
{
  (void)state;
  assert_true(weakened_holds(&two_writers));
  assert_true(weakened_holds(&weighted_writer));
}

static void nothing_is_lost_between_writers(void **state)
{
  (void)state;
  assert_true(weakened_holds(&weighted_writers));
}

static void in_use_is_never_negative(void **state)
{
  (void)state;
  assert_true(weakened_holds(&handed));
}

static void every_order_is_needed(void **state)
{
  (void)state;
  static const char *const exempt[] = {NULL};
  assert_true(weakened_is_noticed(scenarios, COUNT_OF(scenarios), exempt));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_that_agree_belong_together),
      cmocka_unit_test(nothing_is_lost_between_writers),
      cmocka_unit_test(in_use_is_never_negative),
      cmocka_unit_test(every_order_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
