/* SPDX-License-Identifier: MIT */
/* The map of addresses under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/weakened.h"

#define sys_map_anonymous explorer_map
#undef INVARIANT
#define INVARIANT(condition) explorer_require(condition)

#include "core/address_map.c"

#include "order.h"

/* Each map has one file; the last one's is larger. Of INNER all speak, of OUTER the last one alone. */
enum { LOW = 100, HIGH = 200, LATER_HIGH = 300, INNER = 150, OUTER = 250 };
enum { SHIFT_1 = 1000, SHIFT_2 = 2000, SHIFT_3 = 3000, SHIFT_4 = 4000 };

static void build(uintptr_t high, uint64_t shift)
{
  explorer_require(address_map_begin());
  address_map_add_loaded(LOW, high, shift);
  address_map_end();
}

static void build_first(void)
{
  build(HIGH, SHIFT_1);
}

static void build_two(void)
{
  build(HIGH, SHIFT_1);
  build(HIGH, SHIFT_2);
}

/* The second of them is built over the map that was in force. */
static void build_two_more(void)
{
  build(HIGH, SHIFT_3);
  build(LATER_HIGH, SHIFT_4);
}

static void look_up_inner(void)
{
  uint64_t shift = address_map_look_up(INNER) - INNER;
  explorer_require(shift == SHIFT_2 || shift == SHIFT_3 || shift == SHIFT_4);
}

static void look_up_outer(void)
{
  uint64_t shift = address_map_look_up(OUTER) - OUTER;
  explorer_require(shift == 0 || shift == SHIFT_4);
}

static const struct explorer_scenario inner = {.name = "two maps are built, all with the address",
                                               .set_up = build_two,
                                               .threads = {build_two_more, look_up_inner}};
static const struct explorer_scenario outer = {.name = "two maps are built, one with the address",
                                               .set_up = build_two,
                                               .threads = {build_two_more, look_up_outer}};

/* Who runs in a library that was just loaded comes behind the map that speaks of it: the loader, or the program, orders them. */

static _Atomic int is_handed_over;

static void build_and_hand_over(void)
{
  build_first();
  atomic_store_explicit(&is_handed_over, 1, memory_order_release);
}

static void get_what_was_handed_over(void)
{
  bool is_behind = atomic_load_explicit(&is_handed_over, memory_order_acquire) == 1;
  uint64_t shift = address_map_get(INNER) - INNER;
  explorer_require(shift == SHIFT_1 || (shift == 0 && !is_behind));
}

static const struct explorer_scenario first = {.name = "the first map",
                                               .threads = {build_and_hand_over, get_what_was_handed_over}};

static const struct explorer_scenario *const scenarios[] = {&outer, &inner, &first};

ORDER_MAIN(address_is_of_one_map, NULL)
