/* SPDX-License-Identifier: MIT */
/* What test_live_order and test_live_exact_order share: entries by number, and what must be there in the end.
 *
 * Behind the sources of core/live/ that are explored. Before it come
 *   POINTERS, pointers[POINTERS]   the address of each number
 *   ENTRY_LEAST_BYTES              the size of entry 0; each is a byte larger than the one before
 *   expect_nothing_held()          no number is in the table any more, as far as that table tells
 */
#ifndef LIVE_ORDER_H
#define LIVE_ORDER_H

static struct live_entry entry(unsigned number)
{
  return (struct live_entry){.stack = number + 1, .size_bytes = number + ENTRY_LEAST_BYTES};
}

static void add(unsigned number)
{
  explorer_require(live_add(pointers[number], entry(number)));
}

static void add_before(unsigned number)
{
  require(live_add(pointers[number], entry(number)));
}

static void expect_entry(const struct live_entry *got, unsigned number)
{
  explorer_require(got->stack == number + 1 && got->size_bytes == number + ENTRY_LEAST_BYTES);
}

static void expect_removed(unsigned number)
{
  struct live_entry got = {.stack = 0};
  explorer_require(live_may_hold(pointers[number]));
  explorer_require(live_remove(pointers[number], &got));
  expect_entry(&got, number);
}

/* At the end: exactly these are there, then nothing is, and each node is in the free list once. */

static void expect_nodes_free(void)
{
  bool is_free[16] = {false};
  unsigned used = atomic_load_explicit(&nodes_used, memory_order_relaxed), count = 1;
  explorer_require(atomic_load_explicit(&deferred_nodes, memory_order_relaxed) << 32 == 0);
  for (uint32_t node; count <= used && (node = live_node_pop(&free_lists[0].nodes)) != 0; count++) {
    explorer_require(node < used && !is_free[node]);
    is_free[node] = true;
  }
  explorer_require(count == used);
}

static void expect_only(const unsigned *numbers, unsigned count)
{
  explorer_require(live_count() == count);
  for (unsigned i = 0; i < count; i++)
    expect_removed(numbers[i]);
  explorer_require(live_count() == 0);
  expect_nothing_held();
  expect_nodes_free();
}

#define EXPECT_ONLY(name, ...)                                                                                         \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    static const unsigned numbers[] = {__VA_ARGS__};                                                                   \
    expect_only(numbers, COUNT_OF(numbers));                                                                           \
  }
#define ADDER(name, number)                                                                                            \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    add(number);                                                                                                       \
  }
#define REMOVER(name, number)                                                                                          \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    expect_removed(number);                                                                                            \
  }

/* Whoever walks the table sees whole entries. */

static void expect_whole(struct live_entry got)
{
  expect_entry(&got, got.stack - 1);
}

static void visit_all(void)
{
  live_adopt_each(expect_whole);
}

/* Adoption: what was visited and removed is freed, once; what was not visited is not. */

static _Atomic int visits[POINTERS], frees[POINTERS], is_settled;

static void visit(struct live_entry got)
{
  expect_entry(&got, got.stack - 1);
  atomic_fetch_add_explicit(&visits[got.stack - 1], 1, memory_order_relaxed);
}

static void free_deferred(struct live_entry got)
{
  expect_entry(&got, got.stack - 1);
  atomic_fetch_add_explicit(&frees[got.stack - 1], 1, memory_order_relaxed);
}

static void adopt(void)
{
  live_adopt_each(visit);
  atomic_store_explicit(&is_settled, 1, memory_order_release);
  live_adopt_settle(free_deferred);
}

/* As settle_defer_free does. */
static void defer(unsigned number)
{
  explorer_require(live_remove_during_adoption(pointers[number]));
  if (atomic_load_explicit(&is_settled, memory_order_acquire) == 1)
    live_adopt_settle(free_deferred);
}

static void expect_balance_of(unsigned number, int balance)
{
  int visited = atomic_load_explicit(&visits[number], memory_order_relaxed);
  explorer_require(visited - atomic_load_explicit(&frees[number], memory_order_relaxed) == balance && visited <= 1);
}

/* What one thread added and another one got is found there, once. */

static _Atomic int handed_over;

static void add_0_and_hand_over(void)
{
  add(0);
  atomic_store_explicit(&handed_over, 1, memory_order_release);
}

static void remove_0_twice(void)
{
  struct live_entry got;
  if (atomic_load_explicit(&handed_over, memory_order_acquire) == 0)
    return;
  expect_removed(0);
  explorer_require(!live_remove(pointers[0], &got));
}

static void expect_perhaps_0(void)
{
  static const unsigned numbers[] = {0};
  expect_only(numbers, live_count() == 1 ? 1 : 0);
}

#endif
