/* SPDX-License-Identifier: MIT */
/* Requests of dumps and who serves them; dumps, and who ends the process meanwhile; under every order that C11 allows
 * (tests/order/explorer.h). What a dump reads of the region is explored with what is read. */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/on_stack.h"
#include "core/sys.h"
#include "core/ticks.h"
#include "tests/order/threads.h"

/* A dump that has begun has no memory to go on: what it would read is for another test. */
#undef on_stack_below
#define on_stack_below(stack, function, argument) ((void)(stack), (void)(function), (void)(argument))

#include "core/dump.c"
#include "core/text.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic unsigned sys_filters, sys_strict_filters, sys_clock_refusals;

/* What threads had done when they asked for a dump, and what a dump has seen of it. */
static _Atomic unsigned has_done[EXPLORER_THREADS];
static _Atomic unsigned is_seen[EXPLORER_THREADS];

void settle_begin(void) {}

bool settle(void)
{
  for (unsigned i = 0; i < EXPLORER_THREADS; i++)
    if (atomic_load_explicit(&has_done[i], memory_order_relaxed) != 0)
      atomic_store_explicit(&is_seen[i], 1, memory_order_relaxed);
  return true;
}

bool settle_lost_everything(void)
{
  return true;
}

void message_print_parts(const char *const *parts)
{
  (void)parts;
}

bool region_is_in_file(void)
{
  return false;
}

const char *region_path(void)
{
  return "";
}

void writer_remove_unfinished(void) {}

static const struct config config;

static void start(void)
{
  settings = &config;
}

static void ask(void)
{
  atomic_store_explicit(&has_done[explorer_thread()], 1, memory_order_relaxed);
  dump_request("");
}

static void expect_two_seen(void)
{
  explorer_require(atomic_load(&is_seen[0]) == 1 && atomic_load(&is_seen[1]) == 1);
}

static const struct explorer_scenario two_ask = {
    .name = "two ask for a dump", .set_up = start, .threads = {ask, ask}, .finish = expect_two_seen};

/* A dump is waited for once it has begun, and what it has done is there then. */

static _Atomic unsigned has_begun[EXPLORER_THREADS];
static unsigned work[EXPLORER_THREADS];

static void dump(void)
{
  unsigned turn = dump_begin();
  atomic_store_explicit(&has_begun[explorer_thread()], 1, memory_order_release);
  work[explorer_thread()] = 1;
  dump_end(turn);
}

static void end(void)
{
  bool is_known[2];
  for (unsigned i = 0; i < COUNT_OF(is_known); i++)
    is_known[i] = atomic_load_explicit(&has_begun[i], memory_order_acquire) != 0;
  if (others_are_dumping())
    return;
  for (unsigned i = 0; i < COUNT_OF(is_known); i++)
    explorer_require(!is_known[i] || work[i] == 1);
}

static const struct explorer_scenario others_dump = {.name = "two dump, one ends the process",
                                                     .threads = {dump, dump, end}};

static const struct explorer_scenario *const scenarios[] = {&two_ask, &others_dump};

ORDER_MAIN(who_asks_is_served_and_who_dumps_is_waited_for, "core/process.h", "core/sys.h", "core/lock.h", NULL)
