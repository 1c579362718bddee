/* SPDX-License-Identifier: MIT */
#include "core/ticks.h"

#include "core/sys.h"

#include "unit.h"

#include <math.h>

static void wait_ns(uint64_t ns)
{
  uint64_t begin = clock_ns(CLOCK_MONOTONIC);
  while (clock_ns(CLOCK_MONOTONIC) - begin < ns)
    continue;
}

/* The clocks are read one behind the other, and the core may be lost in between: bounds that hold all the same. */
static void ticks_are_of_ns(void **state)
{
  (void)state;
  uint64_t before = clock_ns(CLOCK_MONOTONIC), first = ticks_now(), after = clock_ns(CLOCK_MONOTONIC);
  ticks_init();
  wait_ns(1000000);
  ticks_settle();
  wait_ns(20000000);
  uint64_t last_before = clock_ns(CLOCK_MONOTONIC), last = ticks_now(), last_after = clock_ns(CLOCK_MONOTONIC);
  double most = (double)(last - first) / (double)(last_before - after);
  double least = (double)(last - first) / (double)(last_after - before);
  double settled = (double)ticks_of_ns(1000000) / 1e6, told = ticks_per_second() / 1e9;
  assert_true(settled > least * 0.98 && settled < most * 1.02);
  assert_true(told > least * 0.98 && told < most * 1.02);
}

static void what_takes_long_is_not_timed(void **state)
{
  (void)state;
  uint64_t begin, short_one = 0;
  while (short_one == 0) { /* the core may be lost in between, not every time */
    begin = ticks_now();
    short_one = ticks_since(begin - 1);
  }
  assert_int_equal(ticks_since(begin - ticks_of_ns(500000)), 0);
}

static void nothing_is_known_before(void **state)
{
  (void)state;
  assert_int_equal(ticks_of_ns(400), 400);
  if (arch_ticks_per_second() == 0)
    assert_true(ticks_per_second() == 0);
  ticks_settle();
  assert_true(arch_ticks_per_second() != 0 || ticks_of_ns(400) == 400);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_known_before),
      cmocka_unit_test(ticks_are_of_ns),
      cmocka_unit_test(what_takes_long_is_not_timed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
