/* SPDX-License-Identifier: MIT */
/* The live table under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

/* A page of two lines with a slot each, one page at first, and two nodes in the first chunk. */
#define LINE_SLOTS 1
#define PAGE_LINES_LOG2 1
#define FIRST_PAGES_LOG2 0
#define LIVE_NODE_FIRST_CHUNK 2u
#define LIVE_NODE_LISTS 1u
#define sys_map_anonymous explorer_map
#define sys_munmap(address, size) ((void)(address), (void)(size))
#define sys_madvise(address, size, advice) ((void)(address), (void)(size), (void)(advice), 0)
#undef INVARIANT
#define INVARIANT(condition) explorer_require(condition)

#include "core/live/live.c"
#include "core/live/live_directory.c"
#include "core/live/live_exact.c"
#include "core/live/live_filter.c"
#include "core/live/live_index.c"
#include "core/live/live_node.c"
#include "core/live/live_shelves.c"

#include "unit.h"

void region_add_own(const void *start, uint64_t bytes)
{
  (void)start;
  (void)bytes;
}

/* Pointers are made from their hashes. */

static uint64_t inverse_of(uint64_t odd)
{
  uint64_t inverse = odd;
  for (int i = 0; i < 6; i++)
    inverse *= 2 - odd * inverse;
  return inverse;
}

static const void *pointer_of(uint64_t hash)
{
  uint64_t mixed = hash * inverse_of(0xd6e8feb86659fd93u);
  return (const void *)(uintptr_t)((mixed ^ mixed >> 32) * inverse_of(0x9e3779b97f4a7c15u));
}

/* All have line 0 for home. Of four pages, number i belongs to page i % 4: the odd ones go with the first split. Below
 * SAME_TAG, those of one page have the same slot but for the node. */
enum { POINTERS = 12, SAME_TAG = 8 };
static const void *pointers[POINTERS];

static void make_pointers(void)
{
  for (uint64_t i = 0; i < POINTERS; i++) {
    uint64_t tag = (i < SAME_TAG ? 7 : i + 8) << 8;
    pointers[i] = pointer_of((i + 1) << LIVE_NODE_TAG_BITS | tag | (i % 4) << PAGE_LINES_LOG2);
    require(page_of(live_index_hash(pointers[i]), 4) == i % 4 && home_of(live_index_hash(pointers[i])) == 0);
  }
}

static void expect_nothing_held(void)
{
  for (unsigned i = 0; i < POINTERS; i++)
    explorer_require(!live_filter_may_be(pointers[i]) && !live_may_hold(pointers[i]));
}

enum { ENTRY_LEAST_BYTES = 10 };
#include "live_order.h"

ADDER(add_4, 4)
REMOVER(remove_0, 0)

static const struct explorer_scenario handed = {.name = "added here, removed there",
                                                .set_up = make_pointers,
                                                .threads = {add_0_and_hand_over, remove_0_twice},
                                                .finish = expect_perhaps_0};

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

EXPECT_ONLY(expect_2_and_3, 2, 3)
static const struct explorer_scenario reused = {.name = "nodes that are used again",
                                                .set_up = hold_0_and_1,
                                                .threads = {replace_0_by_2, replace_1_by_3},
                                                .finish = expect_2_and_3};

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
  uint32_t first = live_node_get(), second = live_node_get();
  explorer_require(first != 0 && second != 0 && first != second);
  live_node_give_back(first);
  live_node_give_back(second);
}

static void take_and_put(void)
{
  uint32_t node = live_node_get();
  explorer_require(node != 0);
  live_node_give_back(node);
}

static const struct explorer_scenario list = {.name = "the list of free nodes",
                                              .set_up = leave_three_free,
                                              .threads = {take_two_put_one, take_and_put},
                                              .finish = expect_nodes_free};

/* A look at a slot of the same tag whose node lies in a new chunk. */

static void hold_0(void)
{
  make_pointers();
  add_before(0);
  require(atomic_load_explicit(&live_node_chunks[1], memory_order_relaxed) == NULL);
}

EXPECT_ONLY(expect_4, 4)
static const struct explorer_scenario looked_at_in_new_chunk = {
    .name = "a look at a node of a new chunk", .set_up = hold_0, .threads = {add_4, remove_0}, .finish = expect_4};

static void use_a_chunk(void)
{
  require(live_node_get() == 1 && atomic_load_explicit(&live_node_chunks[1], memory_order_relaxed) == NULL);
}

static void expect_all_nodes_free(void)
{
  live_node_give_back(1);
  expect_nodes_free();
}

static const struct explorer_scenario new_chunk = {.name = "a new chunk of nodes, made by two",
                                                   .set_up = use_a_chunk,
                                                   .threads = {take_and_put, take_and_put},
                                                   .finish = expect_all_nodes_free};

/* The table grows by a page, and what belongs there is moved, while others are at work. The index alone, with nodes that
 * were there before: number i has node i + 1. */

static void index_before(const unsigned *numbers, unsigned count)
{
  make_pointers();
  for (uint32_t i = 0; i < POINTERS; i++) {
    require(live_node_get() == i + 1);
    live_node_set(live_node_at(i + 1), live_index_hash(pointers[i]), i + 10, 0);
    live_node_at(i + 1)->stack = i + 1;
  }
  for (unsigned i = 0; i < count; i++)
    require(put(live_index_hash(pointers[numbers[i]]), numbers[i] + 1));
}

#define INDEX_BEFORE(name, ...)                                                                                        \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    static const unsigned numbers[] = {__VA_ARGS__};                                                                   \
    index_before(numbers, COUNT_OF(numbers));                                                                          \
  }

static void expect_indexed(const unsigned *numbers, unsigned count)
{
  explorer_require(live_count() == count);
  for (unsigned i = 0; i < count; i++)
    explorer_require(live_index_remove(live_index_hash(pointers[numbers[i]])) == numbers[i] + 1);
  explorer_require(live_count() == 0);
  for (uint32_t page = 0; page < pages_now(); page++)
    for (unsigned line = 0; line < PAGE_LINES; line++)
      explorer_require((uint32_t)atomic_load_explicit(&page_at(page)->lines[line].passed, memory_order_relaxed) == 0);
}

#define EXPECT_INDEXED(name, ...)                                                                                      \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    static const unsigned numbers[] = {__VA_ARGS__};                                                                   \
    expect_indexed(numbers, COUNT_OF(numbers));                                                                        \
  }

static void grow_once(void)
{
  grow(1);
}

static void put_1(void)
{
  explorer_require(put(live_index_hash(pointers[1]), 2));
}

static void take_1(void)
{
  explorer_require(live_index_remove(live_index_hash(pointers[1])) == 2);
}

INDEX_BEFORE(index_0_and_1, 0, 1)
INDEX_BEFORE(index_1_and_0, 1, 0)
INDEX_BEFORE(index_0, 0)
EXPECT_INDEXED(expect_indexed_0, 0)
EXPECT_INDEXED(expect_indexed_0_and_1, 0, 1)

static const struct explorer_scenario removed_in_growth = {.name = "a removal while the entry is moved",
                                                           .set_up = index_1_and_0,
                                                           .threads = {grow_once, take_1},
                                                           .finish = expect_indexed_0};

/* Number 1 lies behind a full line. */
static const struct explorer_scenario passed = {.name = "a removal of what lies behind a full line, while it is moved",
                                                .set_up = index_0_and_1,
                                                .threads = {grow_once, take_1},
                                                .finish = expect_indexed_0};

static const struct explorer_scenario grown_by_two = {.name = "a page split off by two",
                                                      .set_up = index_0_and_1,
                                                      .threads = {grow_once, grow_once},
                                                      .finish = expect_indexed_0_and_1};

static const struct explorer_scenario came_late = {.name = "an entry that comes too late for the split",
                                                   .set_up = index_0,
                                                   .threads = {grow_once, put_1},
                                                   .finish = expect_indexed_0_and_1};

static const struct explorer_scenario walked = {
    .name = "a walk while an entry is added", .set_up = hold_0, .threads = {add_4, visit_all}};

static void defer_0(void)
{
  defer(0);
}

EXPECT_ONLY(expect_1, 1)
static void expect_0_freed(void)
{
  expect_balance_of(0, 0);
  expect_balance_of(1, 1);
  expect_1();
}

static const struct explorer_scenario adoption_of_one = {.name = "a free while a child adopts",
                                                         .set_up = hold_0_and_1,
                                                         .threads = {adopt, defer_0},
                                                         .finish = expect_0_freed};

/* Whoever walks sees whole entries, also of those that another thread has moved. One slot of each page is enough. */

static void index_nothing(void)
{
  index_before(NULL, 0);
  require(segment_make(1));
}

static void fill_and_put_1(void)
{
  struct place place = {.page = 0};
  live_node_at(2)->stack = 2;
  explorer_require(take_slot(live_index_hash(pointers[1]), tag_of(live_index_hash(pointers[1])) | 2, &place));
}

static void move_1(void)
{
  split_slot((struct place){.page = 0}, 1);
}

static void visit_1(void)
{
  uint64_t slot = atomic_load_explicit(slot_at((struct place){.page = 1}), memory_order_acquire);
  if (node_of(slot) != 0)
    expect_whole(live_entry_of(live_node_at(node_of(slot))));
}

static const struct explorer_scenario walked_after_move = {
    .name = "a walk to what was moved", .set_up = index_nothing, .threads = {fill_and_put_1, move_1, visit_1}};

/* The same for one that takes the place of number 3 while the slot is being moved. */

INDEX_BEFORE(index_3, 3)

static void replace_3_by_1(void)
{
  uint64_t slot = tag_of(live_index_hash(pointers[3])) | 4;
  if (atomic_compare_exchange_strong_explicit(slot_at((struct place){.page = 0}), &slot, SLOT_FREE,
                                              memory_order_relaxed, memory_order_relaxed))
    fill_and_put_1();
}

static void make_page_1(void)
{
  index_3();
  require(segment_make(1));
}

static const struct explorer_scenario walked_after_late_move = {
    .name = "a walk to what was moved late", .set_up = make_page_1, .threads = {replace_3_by_1, move_1, visit_1}};

static void visit_each(void)
{
  live_adopt_each(visit);
}

static void expect_each_visited_once(void)
{
  expect_balance_of(0, 1);
  expect_balance_of(1, 1);
  expect_indexed_0_and_1();
}

static const struct explorer_scenario walked_in_growth = {.name = "a walk while entries are moved",
                                                          .set_up = index_0_and_1,
                                                          .threads = {grow_once, visit_each},
                                                          .finish = expect_each_visited_once};

/* The cheap ones first. */
static const struct explorer_scenario *const scenarios[] = {&looked_at_in_new_chunk,
                                                            &walked,
                                                            &adoption_of_one,
                                                            &list,
                                                            &removed_in_growth,
                                                            &walked_in_growth,
                                                            &walked_after_move,
                                                            &walked_after_late_move,
                                                            &passed,
                                                            &grown_by_two,
                                                            &came_late,
                                                            &reused,
                                                            &new_chunk,
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
SCENARIO_TEST(walk_sees_whole_entries, walked)
SCENARIO_TEST(deferred_free_is_counted_once, adoption_of_one)
SCENARIO_TEST(entry_is_found_while_it_is_moved, removed_in_growth)
SCENARIO_TEST(page_is_split_off_once, grown_by_two)
SCENARIO_TEST(late_entry_is_not_lost, came_late)
SCENARIO_TEST(passed_line_does_not_hide_an_entry, passed)
SCENARIO_TEST(walk_sees_whole_entries_that_were_moved, walked_after_move)
SCENARIO_TEST(walk_sees_whole_entries_that_came_late, walked_after_late_move)
SCENARIO_TEST(walk_visits_what_is_moved_once, walked_in_growth)

/* Of pointers with the same slot but for the node, each is found by its own node. */
CHILD_TEST(pointers_of_one_tag_are_told_apart)
{
  make_pointers();
  add_before(0);
  add_before(4);
  expect_removed(4);
  expect_removed(0);
}

static void every_order_is_needed(void **state)
{
  (void)state;
  static const char *const exempt[] = {
      "live_node_pop: compare_exchange, success",           /* C11 wants as much as of its failure */
      "core/live/live_exact.c", "core/live/live_shelves.c", /* test_live_exact_order */
      NULL};
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
      cmocka_unit_test(walk_sees_whole_entries),
      cmocka_unit_test(deferred_free_is_counted_once),
      cmocka_unit_test(entry_is_found_while_it_is_moved),
      cmocka_unit_test(page_is_split_off_once),
      cmocka_unit_test(late_entry_is_not_lost),
      cmocka_unit_test(passed_line_does_not_hide_an_entry),
      cmocka_unit_test(walk_sees_whole_entries_that_were_moved),
      cmocka_unit_test(walk_sees_whole_entries_that_came_late),
      cmocka_unit_test(walk_visits_what_is_moved_once),
      cmocka_unit_test(pointers_of_one_tag_are_told_apart),
      cmocka_unit_test(every_order_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
