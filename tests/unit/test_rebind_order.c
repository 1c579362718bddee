/* SPDX-License-Identifier: MIT */
/* The functions that stand before the real ones while a library is opened, under every order that C11 allows (tests/order/explorer.h).
 * Which pointers of programs are bound then is explored nowhere: they change under a lock, and the loader's own. */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/on_stack.h"
#include "core/sys.h"
#include "tests/order/threads.h"

#include "core/loader/loaded.h"
#include "core/lock.h"

static void bind_once(void);
#define on_fresh_stack(function, argument, bytes) ((void)(function), (void)(argument), bind_once(), true)
#define signals_block() ((struct blocked_signals){0})
#define signals_restore(before) ((void)(before))
#define sys_is_readable(address) true

/* One for each thread. */
static int errors[EXPLORER_THREADS];
#include <errno.h>
#undef errno
#define errno errors[explorer_thread()]

#include "interpose/rebind.c"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;
_Atomic unsigned sys_filters, sys_strict_filters;
struct real_origins real_is_allocators;
static unsigned bindings; /* no atomic: one at a time */

static void bind_once(void)
{
  bindings++;
}

static void *real_malloc(size_t size)
{
  (void)size;
  return errors;
}

struct real_functions real = {.malloc = real_malloc};

bool real_is_late(void)
{
  return false;
}

bool loaded_are_all_known(void)
{
  return true;
}

/* Where the return address of its dlopen lies; lower than all stacks, so the word tells. */
static uintptr_t returns[EXPLORER_THREADS];

/* As a hook does. */
static void allocate(void)
{
  uintptr_t function = atomic_load_explicit((_Atomic uintptr_t *)&real.malloc, memory_order_relaxed);
  explorer_require(((void *(*)(size_t))function)(1) == errors);
}

static void begin_opening(void)
{
  uintptr_t *slot = &returns[explorer_thread()];
  *slot = 1;
  rebind_expect(slot);
}

static void allocate_behind(void)
{
  returns[explorer_thread()] = 2;
  allocate();
}

static void open_library(void)
{
  begin_opening();
  allocate(); /* the loader */
  allocate_behind();
}

static void expect_look_if_need_be(void)
{
  explorer_require(real.malloc == (any_expected() ? malloc_after_open : real_malloc));
}

static const struct explorer_scenario opened = {
    .name = "one opens, one allocates", .threads = {open_library, allocate}, .finish = expect_look_if_need_be};

static void know_functions(void)
{
  if (know_real_functions())
    explorer_require(passed_on.malloc == real_malloc);
}

static const struct explorer_scenario both_first = {.name = "two are the first",
                                                    .threads = {know_functions, know_functions}};

/* Threads that have begun already. */

static void begin_in(unsigned thread)
{
  returns[thread] = 1;
  openings[thread] = (struct opening){.thread = (uintptr_t)explored_thread_pointer() + ((uintptr_t)thread << 16),
                                      .return_at = &returns[thread],
                                      .return_address = 1};
  (void)know_real_functions();
  stand_before();
  atomic_store_explicit(&is_taken_back, true, memory_order_relaxed); /* nothing is bound, which has a lock of its own */
}

static void begin_in_first(void)
{
  begin_in(0);
}

static void begin_in_both(void)
{
  begin_in(0);
  begin_in(1);
}

static const struct explorer_scenario one_after_another = {.name = "one comes back, another one begins",
                                                           .set_up = begin_in_first,
                                                           .threads = {allocate_behind, begin_opening},
                                                           .finish = expect_look_if_need_be};
static const struct explorer_scenario both_back = {.name = "two come back",
                                                   .set_up = begin_in_both,
                                                   .threads = {allocate_behind, allocate_behind},
                                                   .finish = expect_look_if_need_be};

static const struct explorer_scenario *const scenarios[] = {&both_first, &opened, &one_after_another, &both_back};

ORDER_MAIN(opening_is_noticed_and_the_real_one_is_called, "core/process.h", "core/lock.h", "rebind_was_forked",
           "rebind_to_real", "rebind_to_hooks", "put", NULL)
