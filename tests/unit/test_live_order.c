/* SPDX-License-Identifier: MIT */
/* The live table under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

/* One bucket a level, and two nodes in the first chunk. */
#define FIRST_LEVEL_SLOTS 8u
#define FIRST_CHUNK_NODES 2u
#define sys_map_anonymous explorer_map
#define sys_munmap(address, size) ((void)(address), (void)(size))
#undef INVARIANT
#define INVARIANT(condition) explorer_require(condition)

#include "core/live.c"

#include "unit.h"

void region_add_own_bytes(uint64_t bytes)
{
  (void)bytes;
}

/* Pointers are made from their hashes. Those of one tag differ in a bit that says neither tag nor bucket. */

static uint64_t inverse_of(uint64_t odd)
{
  uint64_t inverse = odd;
  for (int i = 0; i < 6; i++)
    inverse *= 2 - odd * inverse;
  return inverse;
}

static const void *pointer_with(uint32_t tag, uint32_t rest)
{
  uint64_t mixed = ((uint64_t)tag << 32 | rest) * inverse_of(0xd6e8feb86659fd93u);
  return (const void *)(uintptr_t)((mixed ^ mixed >> 32) * inverse_of(0x9e3779b97f4a7c15u));
}

enum { POINTERS = 12, SAME_TAG = 4 };
static const void *pointers[POINTERS];

/* The first SAME_TAG of them share their tag. */
static void make_pointers(void)
{
  for (uint32_t i = 0; i < POINTERS; i++)
    pointers[i] = pointer_with(i < SAME_TAG ? 77 : 100 + i, (i + 1) << 20);
  require(hash_of(pointers[1]) >> 32 == 77 && hash_of(pointers[SAME_TAG]) >> 32 == 100 + SAME_TAG);
}

static struct live_entry entry(unsigned number)
{
  return (struct live_entry){.stack = number + 1, .weight = {.size_bytes = number + 10, .objects_q16 = number + 100}};
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
  explorer_require(got->stack == number + 1);
  explorer_require(got->weight.size_bytes == number + 10 && got->weight.objects_q16 == number + 100);
}

static void expect_removed(unsigned number)
{
  struct live_entry got = {.stack = 0};
  explorer_require(live_may_hold(pointers[number]));
  explorer_require(live_remove(pointers[number], &got));
  expect_entry(&got, number);
}

/* At the end: exactly these are there. Then nothing is: no slot, no filter; and every node is in the free list once. */

static void expect_nodes_free(void)
{
  bool is_free[16] = {false};
  unsigned used = atomic_load_explicit(&nodes_used, memory_order_relaxed), count = 1;
  explorer_require(atomic_load_explicit(&deferred_nodes, memory_order_relaxed) << 32 == 0);
  for (uint32_t node; count <= used && (node = pop(&free_nodes)) != 0; count++) {
    explorer_require(node < used && !is_free[node]);
    is_free[node] = true;
  }
  explorer_require(count == used);
}

static void expect_filters_empty(void)
{
  for (unsigned i = 0; i < POINTERS; i++)
    explorer_require(!live_filter_may_be(pointers[i]) && !live_may_hold(pointers[i]));
}

static void expect_exactly(unsigned first, unsigned limit)
{
  explorer_require(live_count() == limit - first);
  for (unsigned i = first; i < limit; i++)
    expect_removed(i);
  explorer_require(live_count() == 0);
  expect_filters_empty();
  expect_nodes_free();
}

static _Atomic int handed_over;

static void hand_over(void)
{
  atomic_store_explicit(&handed_over, 1, memory_order_release);
}

static bool was_handed_over(void)
{
  return atomic_load_explicit(&handed_over, memory_order_acquire) == 1;
}

/* What one thread added and another one got is found there, once. */

static void add_0_and_hand_over(void)
{
  add(0);
  hand_over();
}

static void remove_0_twice(void)
{
  struct live_entry got;
  if (!was_handed_over())
    return;
  expect_removed(0);
  explorer_require(!live_remove(pointers[0], &got));
}

static void add_1(void)
{
  add(1);
}

static void expect_1_and_perhaps_0(void)
{
  expect_exactly(live_count() == 2 ? 0 : 1, 2);
}

static const struct explorer_scenario handed = {.name = "added here, removed there",
                                                .set_up = make_pointers,
                                                .threads = {add_0_and_hand_over, remove_0_twice, add_1},
                                                .finish = expect_1_and_perhaps_0};

/* Nodes go from one thread to another. */

static void hold_0_and_1(void)
{
  make_pointers();
  add_before(0);
  add_before(1);
}

static void replace_0_by_2(void)
{
  expect_removed(0);
  add(2);
}

static void replace_1_by_3(void)
{
  expect_removed(1);
  add(3);
}

static void expect_2_to_3(void)
{
  expect_exactly(2, 4);
}

static const struct explorer_scenario reused = {.name = "nodes that are used again",
                                                .set_up = hold_0_and_1,
                                                .threads = {replace_0_by_2, replace_1_by_3},
                                                .finish = expect_2_to_3};

/* One takes a node from the free list while another one takes two and puts the first back: the list must not be torn. */

static void leave_three_free(void)
{
  struct live_entry got;
  make_pointers();
  for (unsigned i = 0; i < 3; i++)
    add_before(i);
  for (unsigned i = 0; i < 3; i++)
    require(live_remove(pointers[i], &got));
}

static void take_two_put_one(void)
{
  uint32_t first = node_get(), second = node_get();
  explorer_require(first != 0 && second != 0 && first != second);
  push(&free_nodes, first);
  push(&free_nodes, second);
}

static void take_and_put(void)
{
  uint32_t node = node_get();
  explorer_require(node != 0);
  push(&free_nodes, node);
}

static const struct explorer_scenario list = {.name = "the list of free nodes",
                                              .set_up = leave_three_free,
                                              .threads = {take_two_put_one, take_and_put},
                                              .finish = expect_nodes_free};

/* A look at a slot of the same tag whose node lies in a new chunk. */

static void fill_chunk(void)
{
  struct live_entry got;
  make_pointers();
  add_before(4);
  add_before(0);
  require(live_remove(pointers[4], &got));
  require(pop(&free_nodes) != 0); /* the next node is in the next chunk */
}

static void remove_0(void)
{
  expect_removed(0);
}

static void add_2(void)
{
  add(2);
}

static void put_back_and_expect_1(void)
{
  push(&free_nodes, 1);
  expect_exactly(1, 2);
}

static const struct explorer_scenario looked_at_in_new_chunk = {.name = "a look at a node of a new chunk",
                                                                .set_up = fill_chunk,
                                                                .threads = {add_1, remove_0},
                                                                .finish = put_back_and_expect_1};

static void put_back_and_expect_0_to_2(void)
{
  push(&free_nodes, 1);
  expect_exactly(0, 3);
}

static const struct explorer_scenario new_chunk = {.name = "a new chunk of nodes, made by two",
                                                   .set_up = fill_chunk,
                                                   .threads = {add_1, add_2},
                                                   .finish = put_back_and_expect_0_to_2};

/* A new level of the index. */

static void fill_level(void)
{
  make_pointers();
  for (unsigned i = 3; i < 3 + BUCKET_SLOTS; i++)
    add_before(i);
}

static void remove_10(void)
{
  expect_removed(10);
}

static void expect_1_and_3_to_9(void)
{
  expect_removed(1);
  expect_exactly(3, 10);
}

static const struct explorer_scenario looked_at_in_new_level = {.name = "a look at a new level",
                                                                .set_up = fill_level,
                                                                .threads = {add_1, remove_10},
                                                                .finish = expect_1_and_3_to_9};

static void expect_1_to_10(void)
{
  expect_exactly(1, 11);
}

static const struct explorer_scenario new_level = {.name = "a new level of slots, made by two",
                                                   .set_up = fill_level,
                                                   .threads = {add_1, add_2},
                                                   .finish = expect_1_to_10};

/* Whoever walks the index sees whole entries. */

static void expect_whole(struct live_entry got)
{
  expect_entry(&got, got.stack - 1);
}

static void visit_all(void)
{
  live_adopt_each(expect_whole);
}

static const struct explorer_scenario walked = {
    .name = "a walk while an entry is added", .set_up = hold_0_and_1, .threads = {add_2, visit_all}};
static const struct explorer_scenario walked_in_new_level = {
    .name = "a walk while a level is added", .set_up = fill_level, .threads = {add_1, visit_all}};

/* Adoption: what was visited and removed is freed, once; what was not visited is not. */

static _Atomic int visits[2], frees[2], is_settled;

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

/* As process_defer_free does. */
static void defer(unsigned number)
{
  explorer_require(live_remove_during_adoption(pointers[number]));
  if (atomic_load_explicit(&is_settled, memory_order_acquire) == 1)
    live_adopt_settle(free_deferred);
}

static void defer_0(void)
{
  defer(0);
}

static void expect_balance_of(unsigned number, int balance)
{
  int visited = atomic_load_explicit(&visits[number], memory_order_relaxed);
  explorer_require(visited - atomic_load_explicit(&frees[number], memory_order_relaxed) == balance && visited <= 1);
}

static void expect_0_freed(void)
{
  expect_balance_of(0, 0);
  expect_balance_of(1, 1);
  expect_exactly(1, 2);
}

static const struct explorer_scenario adoption_of_one = {.name = "a free while a child adopts",
                                                         .set_up = hold_0_and_1,
                                                         .threads = {adopt, defer_0},
                                                         .finish = expect_0_freed};
/* The cheap ones first. */
static const struct explorer_scenario *const scenarios[] = {&new_chunk,
                                                            &looked_at_in_new_chunk,
                                                            &looked_at_in_new_level,
                                                            &walked,
                                                            &walked_in_new_level,
                                                            &adoption_of_one,
                                                            &list,
                                                            &new_level,
                                                            &reused,
                                                            &handed};

#define SCENARIO_TEST(test, scenario)                                                                                  \
  static void test(void **state)                                                                                       \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    assert_true(weakened_holds(&(scenario)));                                                                          \
  }

SCENARIO_TEST(what_was_handed_over_is_found_once, handed)
SCENARIO_TEST(nodes_are_used_again_whole, reused)
SCENARIO_TEST(free_list_is_not_torn, list)
SCENARIO_TEST(new_chunk_is_seen_with_its_nodes, new_chunk)
SCENARIO_TEST(node_is_seen_with_its_chunk, looked_at_in_new_chunk)
SCENARIO_TEST(slot_is_seen_with_its_level, looked_at_in_new_level)
SCENARIO_TEST(walk_sees_whole_entries, walked)
SCENARIO_TEST(walk_sees_whole_levels, walked_in_new_level)
SCENARIO_TEST(new_level_is_seen_with_its_slots, new_level)
SCENARIO_TEST(deferred_free_is_counted_once, adoption_of_one)

static void every_order_is_needed(void **state)
{
  (void)state;
  static const char *const exempt[] = {"pop: compare_exchange, success",
                                       NULL}; /* C11 wants as much as of its failure */
  assert_true(weakened_is_noticed(scenarios, COUNT_OF(scenarios), exempt));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_handed_over_is_found_once),
      cmocka_unit_test(nodes_are_used_again_whole),
      cmocka_unit_test(free_list_is_not_torn),
      cmocka_unit_test(new_chunk_is_seen_with_its_nodes),
      cmocka_unit_test(node_is_seen_with_its_chunk),
      cmocka_unit_test(slot_is_seen_with_its_level),
      cmocka_unit_test(walk_sees_whole_entries),
      cmocka_unit_test(walk_sees_whole_levels),
      cmocka_unit_test(new_level_is_seen_with_its_slots),
      cmocka_unit_test(deferred_free_is_counted_once),
      cmocka_unit_test(every_order_is_needed),

  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
