/* SPDX-License-Identifier: MIT */
/* Which stack is this, and how far may it be read? (hazards U6, U7, U8)
 *
 * A thread's own stack lies below its thread pointer (glibc puts the thread's control block on top), the main thread's
 * below argv. Its pages are asked for once, from the top down to where the thread is, without a descriptor, and
 * remembered in the thread's TLS, with the page that ends it: no system call once that is known. Any other stack
 * (sigaltstack, coroutine) is foreign: it may be gone the next time, so each page that is read is asked for in each
 * walk, but for the one that the walk stands on.
 *
 * Threads, signals: the calling thread's state only. No libc function is called. Fork: nothing to do.
 */
#ifndef HEAPPROF_STACK_BOUNDS_H
#define HEAPPROF_STACK_BOUNDS_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack_window {
  uintptr_t low; /* [low, high) can be read */
  uintptr_t high;
  uintptr_t floor; /* nothing below this is read */
  uintptr_t left;  /* the frame by which a foreign stack was left for the thread's own; 0: none was */
};

/* The window that holds `sp`, which the caller's own frame lies below. False: it is a foreign stack. */
SAMPLED bool stack_window_open(struct stack_window *window, uintptr_t sp);

/* The same for an `sp` that a signal interrupted, which may be anything: after a stack overflow it points to a guard
 * page. */
void stack_window_cross(struct stack_window *window, uintptr_t sp);

/* The same for a frame pointer, of a frame at `sp`, that leads to another stack. False: what is there now can't be what
 * it led to. */
bool stack_window_follow(struct stack_window *window, uintptr_t sp, uintptr_t bp);

/* Is it in the thread's own stack? */
bool stack_window_is_own(const struct stack_window *window);

/* Moves or widens the window so that it holds [address, address + 8); false when it can't. */
bool stack_window_move(struct stack_window *window, uintptr_t address);

/* One aligned word; false when it may not be read. */
static ALWAYS_INLINE bool stack_window_read(struct stack_window *window, uintptr_t address, uintptr_t *value)
{
  if (UNLIKELY(address % sizeof *value != 0))
    return false;
  if (UNLIKELY(address < window->low || address >= window->high) && !stack_window_move(window, address))
    return false;
  *value = *(const volatile uintptr_t *)address;
  return true;
}

/* Finds out now how far the calling thread's stack can be read below `sp`: soon nothing may be asked. */
void stack_bounds_foresee(uintptr_t sp);

/* The main thread, from the constructor: everything below `argv`. */
void stack_bounds_init_main(uintptr_t argv);

/* The same, where the constructor may run in any thread: the main one will know it. */
void stack_bounds_tell_main(uintptr_t argv);

#endif
