/* SPDX-License-Identifier: MIT */
#include "interpose/probe.h"

#include "interpose/probe.c"
#include "unit.h"

#include <stdlib.h>

/* An allocator whose first request makes others, by the same hook: malloc_init of some is like that. */

static struct probe nested;
static enum counting inner_answer;

static void *make_by_the_same_hook(void)
{
  inner_answer = probe_answer(&nested, true);
  return malloc(1);
}

static struct probe nested = {.make = make_by_the_same_hook, .release = free};

static void its_own_calls_pass_and_others_still_wait(void **state)
{
  (void)state;
  assert_int_equal(probe_answer(&nested, true), COUNTING_HERE);
  assert_int_equal(inner_answer, COUNTING_INSIDE);
  assert_false(atomic_load(&nested.is_given_up));
}

static void asks_no_other_allocator(void **state)
{
  static struct probe probe;
  (void)state;
  assert_int_equal(probe_answer(&probe, false), COUNTING_INSIDE);
  assert_int_equal(atomic_load(&probe.counting), COUNTING_INSIDE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(its_own_calls_pass_and_others_still_wait),
      cmocka_unit_test(asks_no_other_allocator),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
