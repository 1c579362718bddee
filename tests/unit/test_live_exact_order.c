/* SPDX-License-Identifier: MIT */
/* The live table of exact mode under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

/* Shelves of one or two lines with two slots each, two areas of two blocks, two nodes in the first chunk. */
#define LINE_WORDS_LOG2 1
#define LINES_LOG2_MAX 1
#define FIRST_LINES 2u
#define AREAS_LOG2 1
#define AREA_SHIFT 13
#define PART_SHIFT 12
#define LIVE_NODE_FIRST_CHUNK 2u
#define LIVE_NODE_LISTS 1u
/* Of the index, which test_live_order explores. */
#define LINE_SLOTS 1
#define PAGE_LINES_LOG2 1
#define FIRST_PAGES_LOG2 0
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

/* All of one block but the last; numbers 3 and 4 have the same place in it, and need nodes. */
enum { POINTERS = 6 };
static const void *const pointers[POINTERS] = {(void *)0x10000, (void *)0x10800, (void *)0x10400,
                                               (void *)0x10c01, (void *)0x10c02, (void *)0x14000};

static void begin(void)
{
  live_init(true);
}

static void expect_nothing_held(void)
{
  struct live_entry got;
  for (unsigned i = 0; i < POINTERS; i++)
    explorer_require(!live_remove(pointers[i], &got));
}

enum { ENTRY_LEAST_BYTES = 5000 };
#include "live_order.h"

#define HOLDER(name, ...)                                                                                              \
  static void name(void)                                                                                               \
  {                                                                                                                    \
    static const unsigned numbers[] = {__VA_ARGS__};                                                                   \
    begin();                                                                                                           \
    for (unsigned i = 0; i < COUNT_OF(numbers); i++)                                                                   \
      add_before(numbers[i]);                                                                                          \
  }

ADDER(add_0, 0)
ADDER(add_1, 1)
ADDER(add_2, 2)
ADDER(add_4, 4)
REMOVER(remove_0, 0)
REMOVER(remove_3, 3)
HOLDER(hold_0, 0)
HOLDER(hold_0_and_1, 0, 1)
HOLDER(hold_0_and_3, 0, 3)
HOLDER(hold_1_and_3, 1, 3)
EXPECT_ONLY(expect_0_and_1, 0, 1)
EXPECT_ONLY(expect_1_and_2, 1, 2)
EXPECT_ONLY(expect_0_1_and_2, 0, 1, 2)
EXPECT_ONLY(expect_4, 4)

static const struct explorer_scenario handed = {.name = "added here, removed there",
                                                .set_up = begin,
                                                .threads = {add_0_and_hand_over, remove_0_twice},
                                                .finish = expect_perhaps_0};

/* Two are the first of their area, of their block, and take the first line. */
static const struct explorer_scenario first_of_all = {
    .name = "the first two of a block", .set_up = begin, .threads = {add_0, add_1}, .finish = expect_0_and_1};

/* A full block gets another shelf: what is on the older one is found by who sees the new one. */
static const struct explorer_scenario removed_in_growth = {.name = "a removal while the block gets a shelf",
                                                           .set_up = hold_0_and_1,
                                                           .threads = {add_2, remove_0},
                                                           .finish = expect_1_and_2};

static const struct explorer_scenario grown_by_two = {
    .name = "a shelf put up by two", .set_up = hold_0, .threads = {add_1, add_2}, .finish = expect_0_1_and_2};

/* Two at one place: the look at the other one's node, which is in a new chunk, and its word in the slot before. */

static void hold_3_behind_a_gap(void)
{
  struct live_entry got;
  hold_1_and_3();
  require(live_remove(pointers[1], &got));
}

static const struct explorer_scenario looked_at_node = {.name = "a look at a node of the same place",
                                                        .set_up = hold_3_behind_a_gap,
                                                        .threads = {add_4, remove_3},
                                                        .finish = expect_4};

/* What a program frees twice at once leaves the table once, and nothing else does, which may be in its slot by then. */

static _Atomic int removals;

static void remove_0_perhaps(void)
{
  struct live_entry got;
  if (!live_remove(pointers[0], &got))
    return;
  expect_entry(&got, 0);
  atomic_fetch_add_explicit(&removals, 1, memory_order_relaxed);
}

static void remove_0_perhaps_and_add_2(void)
{
  remove_0_perhaps();
  add(2);
}

EXPECT_ONLY(expect_2, 2)
static void expect_0_removed_once(void)
{
  explorer_require(atomic_load_explicit(&removals, memory_order_relaxed) == 1);
  expect_2();
}

static const struct explorer_scenario freed_twice = {.name = "freed twice",
                                                     .set_up = hold_0,
                                                     .threads = {remove_0_perhaps_and_add_2, remove_0_perhaps},
                                                     .finish = expect_0_removed_once};

static const struct explorer_scenario walked = {
    .name = "a walk while an entry with a node is added", .set_up = hold_0, .threads = {add_4, visit_all}};

/* The walk sees what was there, when a shelf is put up meanwhile, too. */

static void visit_each(void)
{
  live_adopt_each(visit);
}

static void expect_0_and_1_visited(void)
{
  expect_balance_of(0, 1);
  expect_balance_of(1, 1);
  expect_0_1_and_2();
}

static const struct explorer_scenario walked_in_growth = {.name = "a walk while the block gets a shelf",
                                                          .set_up = hold_0_and_1,
                                                          .threads = {add_2, visit_each},
                                                          .finish = expect_0_and_1_visited};

static void defer_0(void)
{
  defer(0);
}

static void defer_3(void)
{
  defer(3);
}

EXPECT_ONLY(expect_3, 3)
static void expect_0_freed(void)
{
  expect_balance_of(0, 0);
  expect_balance_of(3, 1);
  expect_3();
}

EXPECT_ONLY(expect_0, 0)
static void expect_3_freed(void)
{
  expect_balance_of(3, 0);
  expect_balance_of(0, 1);
  expect_0();
}

static const struct explorer_scenario adoption_of_word = {.name = "a free of a word while a child adopts",
                                                          .set_up = hold_0_and_3,
                                                          .threads = {adopt, defer_0},
                                                          .finish = expect_0_freed};
static const struct explorer_scenario adoption_of_node = {.name = "a free of a node while a child adopts",
                                                          .set_up = hold_0_and_3,
                                                          .threads = {adopt, defer_3},
                                                          .finish = expect_3_freed};

/* The cheap ones first. */
static const struct explorer_scenario *const scenarios[] = {
    &walked,           &looked_at_node,   &removed_in_growth, &handed,       &walked_in_growth,
    &adoption_of_word, &adoption_of_node, &freed_twice,       &first_of_all, &grown_by_two};

#define SCENARIO_TEST(test, scenario)                                                                                  \
  static void test(void **state)                                                                                       \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    assert_true(weakened_holds(&(scenario)));                                                                          \
  }

SCENARIO_TEST(what_was_handed_over_is_found_once, handed)
SCENARIO_TEST(first_ones_share_what_they_make, first_of_all)
SCENARIO_TEST(older_shelves_come_with_the_newest, removed_in_growth)
SCENARIO_TEST(shelf_is_put_up_once, grown_by_two)
SCENARIO_TEST(node_is_seen_with_its_word, looked_at_node)
SCENARIO_TEST(what_is_freed_twice_is_taken_once, freed_twice)
SCENARIO_TEST(walk_sees_whole_entries, walked)
SCENARIO_TEST(walk_sees_what_was_there, walked_in_growth)
SCENARIO_TEST(deferred_free_is_counted_once, adoption_of_word)
SCENARIO_TEST(deferred_free_of_a_node_is_counted_once, adoption_of_node)

static void every_order_is_needed(void **state)
{
  (void)state;
  static const char *const exempt[] = {"core/live/live_index.c", "core/live/live_node.c", "core/live/live.c",
                                       NULL}; /* test_live_order */
  assert_true(weakened_is_noticed(scenarios, COUNT_OF(scenarios), exempt));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_handed_over_is_found_once),
      cmocka_unit_test(first_ones_share_what_they_make),
      cmocka_unit_test(older_shelves_come_with_the_newest),
      cmocka_unit_test(shelf_is_put_up_once),
      cmocka_unit_test(node_is_seen_with_its_word),
      cmocka_unit_test(what_is_freed_twice_is_taken_once),
      cmocka_unit_test(walk_sees_whole_entries),
      cmocka_unit_test(walk_sees_what_was_there),
      cmocka_unit_test(deferred_free_is_counted_once),
      cmocka_unit_test(deferred_free_of_a_node_is_counted_once),
      cmocka_unit_test(every_order_is_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
