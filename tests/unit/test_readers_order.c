/* SPDX-License-Identifier: MIT */
/* Readers of unwind information, and who unloads it, under every order that C11 allows (tests/order/explorer.h). That the unloading
 * waits boundedly is not explored: it waits for as long as it must. */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include "core/cfi/readers.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;

static unsigned library; /* no atomic: read while it is unloaded is a race */
static _Atomic unsigned sum;

static void read_library(void)
{
  struct reader *reader = readers_enter();
  explorer_require(reader != NULL);
  if (!readers_see_unloading())
    (void)atomic_fetch_add_explicit(&sum, library, memory_order_relaxed);
  readers_leave(reader);
}

static void read_twice(void)
{
  read_library();
  read_library();
}

static void unload_library(void)
{
  readers_begin_unloading();
  library = 1;
}

static const struct explorer_scenario one_reads = {.name = "one reads, one unloads",
                                                   .threads = {read_twice, unload_library}};
static const struct explorer_scenario two_read = {.name = "two read, one unloads",
                                                  .threads = {read_library, read_library, unload_library}};

/* What a reader keeps in its place, the next one there finds as it was left. */

static void use_place(void)
{
  struct reader *reader = &places[0];
  if (!lock_try(&reader->lock))
    return;
  reader->values[0]++;
  readers_leave(reader);
}

static const struct explorer_scenario place_is_used = {.name = "a place is used by two",
                                                       .threads = {use_place, use_place}};

/* Two unload at once, and one of them is done: the other one's counts still. */

static void begin_and_end(void)
{
  readers_begin_unloading();
  readers_end_unloading();
}

static void begin_and_look(void)
{
  readers_begin_unloading();
  explorer_require(readers_see_unloading());
  readers_end_unloading();
}

static void expect_no_unloading(void)
{
  explorer_require(!readers_see_unloading());
}

static const struct explorer_scenario two_unload = {
    .name = "two unload", .threads = {begin_and_end, begin_and_look}, .finish = expect_no_unloading};

static const struct explorer_scenario *const scenarios[] = {&one_reads, &two_read, &place_is_used, &two_unload};

ORDER_MAIN(nothing_is_read_while_it_is_unloaded, "core/process.h", "core/rules.h", "core/address_map.h", NULL)
