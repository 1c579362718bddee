/* SPDX-License-Identifier: MIT */
#include "core/cfi/readers.h"

enum { READERS_MAX = 16 };
static LARGE struct reader places[READERS_MAX];

/* How many go on, below the epoch of the process that began the first. */
static _Atomic uint64_t unloadings;

struct reader *readers_enter(void)
{
  unsigned first = (unsigned)(lock_thread_identity() >> 12); /* threads' blocks lie pages apart */
  for (unsigned i = 0; i < READERS_MAX; i++) {
    struct reader *reader = &places[(first + i) % READERS_MAX];
    if (lock_try(&reader->lock)) {
      atomic_thread_fence(memory_order_seq_cst); /* pairs with readers_begin_unloading: one of us sees the other */
      return reader;
    }
  }
  return NULL;
}

void readers_leave(struct reader *reader)
{
  lock_release(&reader->lock);
}

static bool are_none(uint64_t count)
{
  return count == process_epoch() || !process_is_of_now(count);
}

bool readers_see_unloading(void)
{
  return !are_none(atomic_load_explicit(&unloadings, memory_order_relaxed));
}

/* An end whose beginning was in the parent changes nothing. */
static void count_unloadings(int change)
{
  uint64_t before = atomic_load_explicit(&unloadings, memory_order_relaxed), after;
  do {
    if (are_none(before) && change < 0)
      return;
    after = (are_none(before) ? process_epoch() : before) + (uint64_t)(int64_t)change;
  } while (
      !atomic_compare_exchange_weak_explicit(&unloadings, &before, after, memory_order_relaxed, memory_order_relaxed));
}

/* Is the reader who was there still? */
static bool is_held_by(const struct lock *lock, uintptr_t holder)
{
  return atomic_load_explicit(&lock->holder, memory_order_acquire /* pairs with lock_release */) == holder;
}

void readers_wait(void)
{
  enum { SPINS = 2000, YIELDS = 200 };
  int attempts = 0;
  for (unsigned place = 0; place < READERS_MAX; place++) {
    const struct lock *lock = &places[place].lock;
    uintptr_t holder = atomic_load_explicit(&lock->holder, memory_order_acquire /* pairs with lock_release */);
    if (holder == 0 || holder == lock_self() || !process_is_of_now(holder))
      continue;
    for (; is_held_by(lock, holder) && attempts < SPINS + YIELDS; attempts++) {
      if (attempts < SPINS)
        arch_pause();
      else
        sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
  }
}

void readers_begin_unloading(void)
{
  count_unloadings(1);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with readers_enter */
  readers_wait();
}

void readers_end_unloading(void)
{
  count_unloadings(-1);
}
