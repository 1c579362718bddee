/* SPDX-License-Identifier: MIT */
#include "core/stack_bounds.h"

#include "core/sys.h"
#include "core/thread.h"

enum {
  PAGE_BYTES = 4096,
  /* The most that is probed at a time. A thread that is first seen deeper than this is read as a foreign stack. */
  PROBE_MAX_BYTES = 1 << 20,
  /* Readable below sp: a frame that was interrupted at its ret has its saved registers there still. */
  RED_ZONE_BYTES = 128,
  /* What a thread that is about to confine itself may go deeper later, by steps until there is no more. */
  FORESEEN_BYTES = 256 << 10,
  FORESEEN_STEP_BYTES = 16 << 10,
};

static uintptr_t page_of(uintptr_t address)
{
  return address & ~(uintptr_t)(PAGE_BYTES - 1);
}

/* Is every page of [low, high) readable? Asked from the top, where a thread's own stack is certain. */
static bool are_readable(uintptr_t low, uintptr_t high)
{
  for (uintptr_t page = page_of(high - 1); page >= page_of(low); page -= PAGE_BYTES)
    if (!sys_is_readable(page))
      return false;
  return true;
}

static void begin(struct thread *thread)
{
  if (UNLIKELY(thread->stack_high == 0))
    thread->stack_low = thread->stack_high = (uintptr_t)__builtin_thread_pointer();
}

static bool extend_down(struct thread *thread, uintptr_t low)
{
  low = page_of(low);
  if (low >= thread->stack_low)
    return true;
  if (thread->stack_low - low > PROBE_MAX_BYTES || !are_readable(low, thread->stack_low))
    return false;
  thread->stack_low = low;
  return true;
}

void stack_bounds_foresee(uintptr_t sp)
{
  struct thread *thread = &this_thread;
  begin(thread);
  for (uintptr_t depth = FORESEEN_STEP_BYTES; depth <= FORESEEN_BYTES && sp < thread->stack_high; depth *= 2)
    if (!extend_down(thread, sp - depth))
      return;
}

void stack_bounds_init_main(uintptr_t argv)
{
  this_thread.stack_low = this_thread.stack_high = argv;
}

/* The sp of an interrupted frame may point to a guard page: after an overflow, a handler on another stack walks through it. */
static void open_foreign(struct stack_window *window, uintptr_t sp)
{
  window->low = page_of(sp - RED_ZONE_BYTES) == page_of(sp) ? sp - RED_ZONE_BYTES : sp;
  window->high = sys_is_readable(page_of(sp)) ? page_of(sp) + PAGE_BYTES : sp;
  window->is_foreign = true;
  if (window->high == sp)
    window->low = sp;
}

enum stack_room stack_window_open(struct stack_window *window, uintptr_t sp, size_t headroom_bytes)
{
  struct thread *thread = &this_thread;
  begin(thread);
  if (UNLIKELY(sp >= thread->stack_high || !extend_down(thread, sp - RED_ZONE_BYTES))) {
    open_foreign(window, sp);
    return STACK_ROOM_UNKNOWN;
  }
  window->low = sp - RED_ZONE_BYTES;
  window->high = thread->stack_high;
  window->is_foreign = false;
  return LIKELY(extend_down(thread, sp - headroom_bytes)) ? STACK_ROOM_AMPLE : STACK_ROOM_SHORT;
}

bool stack_window_widen(struct stack_window *window, uintptr_t address)
{
  if (!window->is_foreign || address < window->low || address - window->low > PROBE_MAX_BYTES)
    return false;
  while (address >= window->high) {
    if (!sys_is_readable(window->high))
      return false;
    window->high += PAGE_BYTES;
  }
  return true;
}
