/* SPDX-License-Identifier: MIT */
/* Which stack is this, and how far may it be read? (hazards U6, U7, U8)
 *
 * A thread's own stack lies below its thread pointer (glibc puts the thread's control block on top), the main thread's below
 * argv. Pages between are probed once, without a descriptor, and remembered in the thread's TLS. Any other stack (sigaltstack,
 * coroutine) is foreign: it is probed page by page while it is read, and nothing is known of the room left on it.
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
  bool is_foreign;
};

enum stack_room {
  STACK_ROOM_AMPLE,   /* the headroom asked for is there */
  STACK_ROOM_UNKNOWN, /* foreign */
  STACK_ROOM_SHORT,
};

/* Finds the window that holds `sp`, and whether `headroom_bytes` below it can be used. */
enum stack_room stack_window_open(struct stack_window *window, uintptr_t sp, size_t headroom_bytes);

/* Widens the window of a foreign stack so that it holds [address, address + 8); false when it cannot. */
bool stack_window_widen(struct stack_window *window, uintptr_t address);

/* One aligned word; false when it may not be read. */
static ALWAYS_INLINE bool stack_window_read(struct stack_window *window, uintptr_t address, uintptr_t *value)
{
  if (UNLIKELY(address % sizeof *value != 0))
    return false;
  if (UNLIKELY(address < window->low || address >= window->high) && !stack_window_widen(window, address))
    return false;
  *value = *(const volatile uintptr_t *)address;
  return true;
}

/* Finds out now how far the calling thread's stack can be read below `sp`: soon nothing may be asked. */
void stack_bounds_foresee(uintptr_t sp);

/* The main thread, from the constructor: everything below `argv`. */
void stack_bounds_init_main(uintptr_t argv);

#endif
