/* SPDX-License-Identifier: MIT */
/* The lock under every order that C11 allows (tests/order/explorer.h). A handler is a call from below. */
#include "core/compiler.h"
#include "core/sys.h"
#include "tests/order/explored.h"
#include "tests/order/threads.h"
#include "tests/order/weakened.h"

#include "core/lock.h"

#include "order.h"

_Atomic uint64_t process_current_epoch = PROCESS_EPOCH_FIRST;

static struct lock lock;
static unsigned guarded; /* no atomic: two at once are a race */
static _Atomic unsigned entered;

static void enter(void)
{
  guarded++;
  (void)atomic_fetch_add_explicit(&entered, 1, memory_order_relaxed);
}

static NOINLINE bool try_from_below(void)
{
  volatile char room[256];
  room[0] = 1;
  return lock_try(&lock) && room[0] == 1;
}

static void expect_all_counted(void)
{
  explorer_require(guarded == atomic_load_explicit(&entered, memory_order_relaxed));
  explorer_require(atomic_load_explicit(&lock.holder, memory_order_relaxed) == 0);
}

static void enter_alone(void)
{
  if (!lock_try(&lock))
    return;
  explorer_require(!try_from_below()); /* whoever held it before, this thread's frame stands there */
  explorer_require(lock_is_ours(&lock));
  enter();
  lock_release(&lock);
}

static void wait_and_enter(void)
{
  explorer_require(lock_try_for_a_moment(&lock));
  enter();
  lock_release(&lock);
}

static const struct explorer_scenario tried = {
    .name = "two try", .threads = {enter_alone, enter_alone}, .finish = expect_all_counted};
static const struct explorer_scenario waited = {
    .name = "three in turn", .threads = {wait_and_enter, wait_and_enter, wait_and_enter}, .finish = expect_all_counted};

/* The frame from below is left by a jump. */
static void leave_and_take_over(void)
{
  if (!try_from_below())
    return;
  explorer_require(lock_try(&lock));
  explorer_require(!try_from_below());
  enter();
  lock_release(&lock);
}

/* What is taken over from a holder that was not left after all (a handler on a stack above) is given back by the handler. The holder
 * comes to its own release later. */
static void release_twice(void)
{
  if (!try_from_below())
    return;
  explorer_require(lock_try(&lock));
  enter();
  lock_release(&lock);
  lock_release(&lock);
}

static const struct explorer_scenario left = {
    .name = "one is left by a jump", .threads = {leave_and_take_over, enter_alone}, .finish = expect_all_counted};
static const struct explorer_scenario twice = {
    .name = "one releases twice", .threads = {release_twice, wait_and_enter}, .finish = expect_all_counted};

static const struct explorer_scenario *const scenarios[] = {&tried, &waited, &left, &twice};

ORDER_MAIN(one_at_a_time, "process_is_settled", NULL)
