/* SPDX-License-Identifier: MIT */
/* What tests of memory orders share, to be included in place of unit.h: the tests of `scenarios`, an array of what is explored.
 */
#ifndef HEAPPROF_ORDER_H
#define HEAPPROF_ORDER_H

#include "tests/order/weakened.h"

#include "unit.h"

/* Defines two tests: the one that is named, that all scenarios hold; and every_order_is_needed, but for those that follow, as of
 * weakened_is_noticed, the last of which is NULL. */
#define ORDER_TESTS(all_hold, ...)                                                                                     \
  static void all_hold(void **state)                                                                                   \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    assert_true(weakened_hold_all(scenarios, COUNT_OF(scenarios)));                                                    \
  }                                                                                                                    \
  static void every_order_is_needed(void **state)                                                                      \
  {                                                                                                                    \
    static const char *const exempt[] = {__VA_ARGS__};                                                                 \
    (void)state;                                                                                                       \
    assert_true(weakened_is_noticed(scenarios, COUNT_OF(scenarios), exempt));                                          \
  }

/* These two, and a program that is no more than they. */
#define ORDER_MAIN(all_hold, ...)                                                                                      \
  ORDER_TESTS(all_hold, __VA_ARGS__)                                                                                   \
  int main(void)                                                                                                       \
  {                                                                                                                    \
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_hold), cmocka_unit_test(every_order_is_needed)};           \
    return cmocka_run_group_tests(tests, NULL, NULL);                                                                  \
  }

#endif
