/* SPDX-License-Identifier: MIT */
/* The places where a stack keeps what it held at the peak, under every order that C11 allows (tests/order/explorer.h). */
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#include "core/lanes/spares.c"
#include "core/peak.c"
#include "core/tally.c"

#include "unit.h"

_Atomic bool lanes_met; /* threads are not kept apart */
static struct region_header header;
static struct stack_record stack;
static const struct sample_weight one = {.size_bytes = 1, .objects_q16 = 1 << 16};

struct region_header *region_header(void)
{
  return &header;
}

/* Two peaks, and what the stack held then. */
enum { FIRST_HELD = 3, SECOND_HELD = 5 };
#define FIRST_PEAK (100 | PEAK_IS_OVER)
#define SECOND_PEAK (200 | PEAK_IS_OVER)

static void set(_Atomic uint64_t *field, uint64_t value)
{
  atomic_store_explicit(field, value, memory_order_relaxed);
}

static void keep_first_in(struct peak *slot)
{
  struct tally_sums held = {.objects_q16 = FIRST_HELD, .bytes_q4 = FIRST_HELD, .variance_bytes = FIRST_HELD};
  write_slot(slot, FIRST_PEAK, &held);
}

/* Both slots are of the first peak. The second is in force, and not kept yet. */
static void reach_second_peak(void)
{
  keep_first_in(&stack.halves[0].peaks[0]);
  keep_first_in(&stack.halves[0].peaks[1]);
  set(&header.halves[0].in_use_bytes_q4, SECOND_PEAK & ~PEAK_IS_OVER);
  set(&header.halves[0].peak_bytes_q4, SECOND_PEAK);
  set(&stack.allocated.begun, 1);
  set(&stack.allocated.objects_q16, SECOND_HELD);
  set(&stack.allocated.bytes_q4, SECOND_HELD);
  atomic_store_explicit(&stack.allocated.variance_objects, SECOND_HELD, memory_order_relaxed);
  atomic_store_explicit(&stack.allocated.variance_bytes, SECOND_HELD, memory_order_relaxed);
  set(&stack.allocated.ended, 1);
}

static void keep_once(void)
{
  peak_keep_before_allocation(&stack, one);
}

static void expect_if_whole(uint64_t peak, uint64_t value)
{
  struct tally_sums held;
  if (!read_slot(&stack.halves[0].peaks[0], peak, &held))
    return;
  explorer_require(held.objects_q16 == value && held.bytes_q4 == value);
  explorer_require(held.variance_bytes == (double)value);
}

static void read_first(void)
{
  expect_if_whole(FIRST_PEAK, FIRST_HELD);
}

static void read_second(void)
{
  expect_if_whole(SECOND_PEAK, SECOND_HELD);
}

static const struct explorer_scenario old_value = {
    .name = "the old value is read", .set_up = reach_second_peak, .threads = {keep_once, read_first}};
static const struct explorer_scenario new_value = {
    .name = "the new value is read", .set_up = reach_second_peak, .threads = {keep_once, read_second}};

static void value_of_a_peak_is_whole(void **state)
{
  (void)state;
  assert_true(weakened_holds(&old_value));
  assert_true(weakened_holds(&new_value));
}

/* Two keep the same peak, then change what the stack holds: what is kept is of before. */

static void keep_and_change(void)
{
  peak_keep_before_allocation(&stack, one);
  tally_count(&stack.allocated, one);
}

static void expect_kept(void)
{
  struct tally_sums held;
  explorer_require(read_slot(&stack.halves[0].peaks[0], SECOND_PEAK, &held) ||
                   read_slot(&stack.halves[0].peaks[1], SECOND_PEAK, &held));
  explorer_require(held.objects_q16 == SECOND_HELD && held.bytes_q4 == SECOND_HELD);
}

static const struct explorer_scenario kept = {.name = "two threads keep and change",
                                              .set_up = reach_second_peak,
                                              .threads = {keep_and_change, keep_and_change},
                                              .finish = expect_kept};

static void change_comes_after_what_is_kept(void **state)
{
  (void)state;
  assert_true(weakened_holds(&kept));
}

static const struct explorer_scenario *const scenarios[] = {&old_value, &new_value, &kept};

/* Of the slots. The tally has a test of its own; what the totals of the header order, with whole samples in several threads, is more than
 * can be explored. */
static void every_order_of_slots_is_needed(void **state)
{
  (void)state;
  static const char *const exempt[] = {
      "add_double",   "tally_add", "read_once",    "keep",        "keep_halves",  "add_shares",           "take_shares",
      "peak_now",     "raise_to",  "add_to_total", "lower_total", "take_half",    "peak_read_bytes_q4",   "is_kept",
      "add_variance", "add_share", "take_share",   "end_peak",    "peak_moments", "total_without_spares", NULL};
  assert_true(weakened_is_noticed(scenarios, COUNT_OF(scenarios), exempt));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(value_of_a_peak_is_whole),
      cmocka_unit_test(change_comes_after_what_is_kept),
      cmocka_unit_test(every_order_of_slots_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
