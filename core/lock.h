/* SPDX-License-Identifier: MIT */
/* A try-lock that nobody waits on for long and nobody can leave held for ever.
 *
 * It knows its holder by thread pointer and stack frame. If the same thread asks again from a frame above the holder's,
 * the holder was left by siglongjmp and its lock is taken over. (A handler on an alternate stack that happens to lie
 * higher can take over a lock that is still in use; what the locks guard tolerates that, see each use. It gives back
 * what it took, so another thread may have the lock when its first holder comes to release it: that releases nothing.)
 *
 * Threads, signals: safe, never blocks. Fork: a lock that is held in another epoch (process.h) is free, for its holder
 * is a thread of the parent.
 */
#ifndef HEAPPROF_LOCK_H
#define HEAPPROF_LOCK_H

#include "core/compiler.h"
#include "core/process.h"
#include "core/sys.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
  _Atomic uintptr_t holder; /* thread pointer and epoch, 0: free */
  _Atomic uintptr_t frame;  /* of the holder; 0 until it is known */
};

static inline uintptr_t lock_thread_identity(void)
{
  return (uintptr_t)__builtin_thread_pointer();
}

static inline uintptr_t lock_self(void)
{
  return lock_thread_identity() ^ process_epoch();
}

static inline bool lock_is_ours(const struct lock *lock)
{
  return atomic_load_explicit(&lock->holder, memory_order_relaxed) == lock_self();
}

static inline bool lock_take_from(struct lock *lock, uintptr_t *holder)
{
  return atomic_compare_exchange_strong_explicit(
      &lock->holder, holder, lock_self(), memory_order_acquire /* pairs with lock_release */, memory_order_relaxed);
}

/* The frame needs no order: only the thread that holds the lock believes it. */
static inline bool lock_try(struct lock *lock)
{
  uintptr_t self = lock_self(), here = (uintptr_t)__builtin_frame_address(0), free = 0;
  if (LIKELY(lock_take_from(lock, &free)) || (!process_is_of_now(free) && lock_take_from(lock, &free))) {
    atomic_store_explicit(&lock->frame, here, memory_order_relaxed);
    return true;
  }
  if (free != self || here <= atomic_load_explicit(&lock->frame, memory_order_relaxed))
    return false;
  atomic_store_explicit(&lock->frame, here, memory_order_relaxed);
  return true;
}

/* Tries for a while, a few times the longest that a lock is held: first spinning, then giving up the core to a holder
 * that was preempted. At once when the holder is the caller's own thread. */
static inline bool lock_try_for_a_moment(struct lock *lock)
{
  enum { SPINS = 2000, YIELDS = 200 };
  for (int attempt = 0; attempt < SPINS + YIELDS; attempt++) {
    if (lock_try(lock))
      return true;
    if (lock_is_ours(lock))
      return false;
    if (attempt < SPINS)
      arch_pause();
    else
      sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
  }
  return false;
}

/* If the caller's thread still holds it. In one step: a handler that takes the lock over between two would give it to
 * another thread. The frame is not asked: who took the lock over and holds it still was left by siglongjmp, and lower
 * frames would wait for it for ever. */
static inline void lock_release(struct lock *lock)
{
  uintptr_t self = lock_self();
  /* Whoever takes the lock next may be left before its frame is stored. Ours would stand there, and might lie above all
   * later ones. */
  if (lock_is_ours(lock))
    atomic_store_explicit(&lock->frame, 0, memory_order_relaxed);
  (void)atomic_compare_exchange_strong_explicit(
      &lock->holder, &self, 0, memory_order_release /* pairs with lock_take_from */, memory_order_relaxed);
}

#endif
