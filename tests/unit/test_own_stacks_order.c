/* SPDX-License-Identifier: MIT */
/* Which record a lane counts at, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/explorer.h"
#include "tests/order/weakened.h"

/* All threads are of one lane, but for what reads from outside. */
#define __builtin_thread_pointer() ((void *)(uintptr_t)0x10000)

#define PLACES 4

#include "core/lanes/own_stacks.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;

/* Records by number: those of each thread, made before they are shown. */
enum { SHARED = 7, FIRST_OWN = 100, RECORDS = FIRST_OWN + EXPLORER_THREADS * 2, FRAMES = 5 };
static unsigned records[RECORDS];
static uint32_t other_shared; /* begins at the same place */
static _Atomic unsigned made; /* how many threads were let make one */

static void find_other(void)
{
  other_shared = SHARED;
  do
    other_shared++;
  while (place_at(key_of(other_shared), 0) != place_at(key_of(SHARED), 0));
}

static void make_own_of(uint32_t shared, uint32_t own)
{
  _Atomic uint32_t *claimed = own_stacks_claim(shared);
  if (claimed == NULL)
    return;
  records[own] = FRAMES;
  (void)atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
  own_stacks_set(claimed, own);
}

static void use_own_of(uint32_t shared)
{
  uint32_t own = own_stack_of(shared);
  if (own != shared)
    explorer_require(records[own] == FRAMES);
}

static void make_and_use(void)
{
  make_own_of(SHARED, FIRST_OWN + explorer_thread());
  use_own_of(SHARED);
}

static void make_other(void)
{
  make_own_of(other_shared, FIRST_OWN + EXPLORER_THREADS + explorer_thread());
}

static void expect_one(void)
{
  unsigned position = 0;
  uint32_t own = own_stack_of(SHARED);
  explorer_require(atomic_load_explicit(&made, memory_order_relaxed) == 1 && own != SHARED);
  explorer_require(own_stacks_next(SHARED, &position) == own && own_stacks_next(SHARED, &position) == 0);
}

static const struct explorer_scenario made_by_two = {
    .name = "two threads of a lane make one", .threads = {make_and_use, make_and_use}, .finish = expect_one};

static void expect_both(void)
{
  explorer_require(own_stack_of(SHARED) != SHARED && own_stack_of(other_shared) != other_shared);
}

static const struct explorer_scenario made_of_two = {
    .name = "of two stacks with one place", .threads = {make_and_use, make_other}, .finish = expect_both};

/* Who writes a profile, and saw in it what was counted there (tally.c), finds out to which stack that belongs. */

static _Atomic int counted;

static void make_and_count(void)
{
  make_own_of(SHARED, FIRST_OWN);
  if (own_stack_of(SHARED) == FIRST_OWN)
    (void)atomic_fetch_add_explicit(&counted, 1, memory_order_release);
}

static void read_what_was_counted(void)
{
  unsigned position = 0;
  if (atomic_load_explicit(&counted, memory_order_acquire) == 0)
    return;
  explorer_require(own_stacks_shared(FIRST_OWN) == SHARED);
  explorer_require(own_stacks_next(SHARED, &position) == FIRST_OWN);
}

static const struct explorer_scenario read_outside = {
    .name = "who else reads them", .threads = {make_and_count, make_and_count, read_what_was_counted}};

static const struct explorer_scenario *const scenarios[] = {&made_by_two, &made_of_two, &read_outside};

/* Single: what the scenarios rely on. */
static void places_are_as_meant(void **state)
{
  (void)state;
  assert_ptr_equal(place_at(key_of(SHARED), 0), place_at(key_of(other_shared), 0));
  assert_int_not_equal(key_of(SHARED), key_of(other_shared));
  assert_int_equal(own_stack_of(SHARED), SHARED);
}

ORDER_TESTS(record_is_whole_and_one_for_each_lane, "core/lock.h", "core/process.h", "core/lanes/lanes.h", NULL)

int main(void)
{
  find_other();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(places_are_as_meant),
      cmocka_unit_test(record_is_whole_and_one_for_each_lane),
      cmocka_unit_test(every_order_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
