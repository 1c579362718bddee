/* SPDX-License-Identifier: MIT */
/* The explorer itself (tests/order/explorer.h): what C11 allows in the well-known small programs it finds, what C11 forbids it does
 * not. */
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#include "unit.h"

#define STORE(location, value, order) atomic_store_explicit(&(location), value, memory_order_##order)
#define LOAD(location, order) atomic_load_explicit(&(location), memory_order_##order)
#define ADD(location, order) atomic_fetch_add_explicit(&(location), 1, memory_order_##order)
#define FENCE(order) atomic_thread_fence(memory_order_##order)

static _Atomic int x, y;
static int plain;
static int seen[4]; /* by the threads, looked at when they have ended */

static bool is_violated(const struct explorer_scenario *scenario, const char *violation)
{
  struct explorer_outcome outcome = weakened_explore(scenario);
  if (strstr(outcome.violation, violation) == NULL || outcome.violation[0] == '\0')
    fprintf(stderr, "%s: %s\n", scenario->name, outcome.violation);
  return outcome.violation[0] != '\0' && strstr(outcome.violation, violation) != NULL;
}

/* A thread each: BODY(name, statements). */
#define BODY(name, ...)                                                                                                \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    __VA_ARGS__;                                                                                                       \
  }

/* `outcome` may be, or may not. */
#define ALLOWED(test, outcome, ...) LITMUS(test, outcome, assert_true(is_violated(&scenario, "outcome")), __VA_ARGS__)
#define FORBIDDEN(test, outcome, ...) LITMUS(test, outcome, assert_true(weakened_holds(&scenario)), __VA_ARGS__)
#define LITMUS(test, outcome, expectation, ...)                                                                        \
  static void expect_##test(void)                                                                                      \
  {                                                                                                                    \
    explorer_check(!(outcome), "outcome");                                                                             \
  }                                                                                                                    \
  static void test(void **state)                                                                                       \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    static const struct explorer_scenario scenario = {                                                                 \
        .name = #test, .threads = {__VA_ARGS__}, .finish = expect_##test};                                             \
    expectation;                                                                                                       \
  }

/* Message passing. */
BODY(send_relaxed, STORE(x, 1, relaxed); STORE(y, 1, relaxed))
BODY(send, STORE(x, 1, relaxed); STORE(y, 1, release))
BODY(send_by_fence, STORE(x, 1, relaxed); FENCE(release); STORE(y, 1, relaxed))
BODY(receive, seen[0] = LOAD(y, acquire); seen[1] = LOAD(x, relaxed))
BODY(receive_relaxed, seen[0] = LOAD(y, relaxed); seen[1] = LOAD(x, relaxed))
BODY(receive_by_fence, seen[0] = LOAD(y, relaxed); FENCE(acquire); seen[1] = LOAD(x, relaxed))
ALLOWED(relaxed_store_sends_nothing, seen[0] == 1 && seen[1] == 0, send_relaxed, receive)
ALLOWED(relaxed_load_receives_nothing, seen[0] == 1 && seen[1] == 0, send, receive_relaxed)
FORBIDDEN(release_and_acquire_pass_messages, seen[0] == 1 && seen[1] == 0, send, receive)
FORBIDDEN(fences_pass_messages, seen[0] == 1 && seen[1] == 0, send_by_fence, receive_by_fence)

/* Store buffering. */
BODY(store_x, STORE(x, 1, release); seen[0] = LOAD(y, acquire))
BODY(store_y, STORE(y, 1, release); seen[1] = LOAD(x, acquire))
BODY(store_x_fenced, STORE(x, 1, relaxed); FENCE(seq_cst); seen[0] = LOAD(y, relaxed))
BODY(store_y_fenced, STORE(y, 1, relaxed); FENCE(seq_cst); seen[1] = LOAD(x, relaxed))
ALLOWED(stores_wait_in_buffers, seen[0] == 0 && seen[1] == 0, store_x, store_y)
ALLOWED(one_fence_is_not_enough, seen[0] == 0 && seen[1] == 0, store_x_fenced, store_y)
FORBIDDEN(two_fences_empty_buffers, seen[0] == 0 && seen[1] == 0, store_x_fenced, store_y_fenced)

BODY(store_x_sc, STORE(x, 1, seq_cst); seen[0] = LOAD(y, seq_cst))
BODY(store_y_sc, STORE(y, 1, seq_cst); seen[1] = LOAD(x, seq_cst))
BODY(add_x_sc, (void)ADD(x, seq_cst); seen[0] = LOAD(y, seq_cst))
BODY(add_y_sc, (void)ADD(y, seq_cst); seen[1] = LOAD(x, seq_cst))
ALLOWED(one_seq_cst_is_not_enough, seen[0] == 0 && seen[1] == 0, store_x_sc, store_y)
FORBIDDEN(seq_cst_accesses_empty_buffers, seen[0] == 0 && seen[1] == 0, store_x_sc, store_y_sc)
FORBIDDEN(seq_cst_additions_empty_buffers, seen[0] == 0 && seen[1] == 0, add_x_sc, add_y_sc)

/* One location: all agree on the order of its writes. */
BODY(write_twice, STORE(x, 1, relaxed); STORE(x, 2, relaxed))
BODY(read_twice, seen[0] = LOAD(x, relaxed); seen[1] = LOAD(x, relaxed))
FORBIDDEN(reads_do_not_go_back, seen[0] == 2 && seen[1] == 1, write_twice, read_twice)
ALLOWED(reads_may_be_old, seen[0] == 0 && seen[1] == 1, write_twice, read_twice)

/* Two locations: writes of two threads may come in opposite orders, and those who read need not agree. */
BODY(write_x_y, STORE(x, 1, release); STORE(y, 2, release))
BODY(write_y_x, STORE(y, 1, release); STORE(x, 2, release))
ALLOWED(writes_cross, LOAD(x, relaxed) == 1 && LOAD(y, relaxed) == 1, write_x_y, write_y_x)
BODY(write_x, STORE(x, 1, release))
BODY(read_x_y, seen[0] = LOAD(x, acquire); seen[1] = LOAD(y, acquire))
BODY(write_y_read_x, STORE(y, 1, release); seen[2] = LOAD(x, acquire))
BODY(write_x_sc, STORE(x, 1, seq_cst))
BODY(read_x_y_sc, seen[0] = LOAD(x, seq_cst); seen[1] = LOAD(y, seq_cst))
BODY(write_y_read_x_sc, STORE(y, 1, seq_cst); seen[2] = LOAD(x, seq_cst))
FORBIDDEN(seq_cst_readers_agree, seen[0] == 1 && seen[1] == 0 && seen[2] == 0, write_x_sc, read_x_y_sc,
          write_y_read_x_sc)
ALLOWED(readers_disagree, seen[0] == 1 && seen[1] == 0 && seen[2] == 0, write_x, read_x_y, write_y_read_x)

/* Read-modify-writes: each sees the one before, and hands on what it released. */
BODY(add_release, STORE(x, 1, relaxed); seen[2] = ADD(y, release))
BODY(add_relaxed, seen[3] = ADD(y, relaxed))
BODY(receive_two, seen[0] = LOAD(y, acquire); seen[1] = LOAD(x, relaxed))
FORBIDDEN(nothing_is_added_twice, LOAD(y, relaxed) != 2 || seen[2] == seen[3], add_release, add_relaxed)
FORBIDDEN(additions_hand_on_releases, seen[0] == 2 && seen[1] == 0, add_release, add_relaxed, receive_two)
ALLOWED(addition_releases_nothing_by_itself, seen[0] == 1 && seen[1] == 0, add_release, add_relaxed, receive_two)

/* Plain memory. */
BODY(fill_and_send, plain = 7; STORE(y, 1, release))
BODY(fill_and_send_relaxed, plain = 7; STORE(y, 1, relaxed))
BODY(receive_plain, if (LOAD(y, acquire) == 1) seen[0] = plain)
BODY(send_and_fill, STORE(y, 1, release); plain = 7)
FORBIDDEN(plain_memory_is_passed_on, seen[0] != 0 && seen[0] != 7, fill_and_send, receive_plain)

static void races_are_found(void **state)
{
  (void)state;
  static const struct explorer_scenario relaxed = {.name = "relaxed",
                                                   .threads = {fill_and_send_relaxed, receive_plain}};
  static const struct explorer_scenario late = {.name = "late", .threads = {send_and_fill, receive_plain}};
  static const struct explorer_scenario other_way = {.name = "other way", .threads = {receive_plain, send_and_fill}};
  assert_true(is_violated(&relaxed, "a race"));
  assert_true(is_violated(&late, "a race"));
  assert_true(is_violated(&other_way, "a race"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(relaxed_store_sends_nothing),
      cmocka_unit_test(relaxed_load_receives_nothing),
      cmocka_unit_test(release_and_acquire_pass_messages),
      cmocka_unit_test(fences_pass_messages),
      cmocka_unit_test(stores_wait_in_buffers),
      cmocka_unit_test(one_fence_is_not_enough),
      cmocka_unit_test(two_fences_empty_buffers),
      cmocka_unit_test(one_seq_cst_is_not_enough),
      cmocka_unit_test(seq_cst_accesses_empty_buffers),
      cmocka_unit_test(seq_cst_additions_empty_buffers),
      cmocka_unit_test(seq_cst_readers_agree),
      cmocka_unit_test(reads_do_not_go_back),
      cmocka_unit_test(reads_may_be_old),
      cmocka_unit_test(writes_cross),
      cmocka_unit_test(readers_disagree),
      cmocka_unit_test(nothing_is_added_twice),
      cmocka_unit_test(additions_hand_on_releases),
      cmocka_unit_test(addition_releases_nothing_by_itself),
      cmocka_unit_test(plain_memory_is_passed_on),
      cmocka_unit_test(races_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
