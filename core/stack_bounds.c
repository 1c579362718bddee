/* SPDX-License-Identifier: MIT */
#include "core/stack_bounds.h"

#include "core/sys.h"
#include "core/thread.h"

enum {
  PAGE_BYTES = 4096,
  /* How much of a thread's own stack is asked for, page by page, and remembered. What lies deeper is read as a foreign
   * stack. */
  OWN_MAX_BYTES = 64 << 20,
  /* Readable below sp: a frame that was interrupted at its ret has its saved registers there still. */
  RED_ZONE_BYTES = 128,
  /* What a thread that is about to confine itself may go deeper later, by steps until there is no more. */
  FORESEEN_BYTES = 256 << 10,
  FORESEEN_STEP_BYTES = 16 << 10,
  /* Between the frames of a goroutine that calls C and of what is called back from there. */
  CALL_BACK_MAX_BYTES = 2048,
};

static uintptr_t page_of(uintptr_t address)
{
  return address & ~(uintptr_t)(PAGE_BYTES - 1);
}

static uintptr_t above(uintptr_t a, uintptr_t b)
{
  return a > b ? a : b;
}

/* Asks for the pages from the known ones down to that of `address`. The first one that can't be read ends the stack for
 * good: a guard page, or what lies below a main stack that has grown as far as it may. */
static COLD bool extend_down(struct thread *thread, uintptr_t address)
{
  if (address < thread->stack_floor || !sys_may_call(SYS_rt_sigprocmask))
    return false;
  while (thread->stack_low > address) {
    if (!sys_is_readable(thread->stack_low - PAGE_BYTES)) {
      thread->stack_floor = thread->stack_low;
      return false;
    }
    thread->stack_low -= PAGE_BYTES;
  }
  return true;
}

static uintptr_t
    told_argv; /* 0: the main thread knows its stack, or is one of those whose stack ends below its pointer */

void stack_bounds_tell_main(uintptr_t argv)
{
  told_argv = argv;
}

void stack_bounds_init_main(uintptr_t argv)
{
  struct rlimit limit;
  bool is_limited = sys_get_limit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < OWN_MAX_BYTES;
  this_thread.stack_low = page_of(argv);
  this_thread.stack_floor = argv - (is_limited ? limit.rlim_cur : OWN_MAX_BYTES);
  this_thread.stack_high = argv;
}

static COLD void begin_thread(struct thread *thread)
{
  if (told_argv != 0 && sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0) == sys_getpid()) {
    stack_bounds_init_main(told_argv);
    return;
  }
  uintptr_t top = (uintptr_t)__builtin_thread_pointer();
  thread->stack_low = page_of(top);
  thread->stack_floor = top - OWN_MAX_BYTES;
  thread->stack_high = top;
}

void stack_bounds_foresee(uintptr_t sp)
{
  struct thread *thread = &this_thread;
  if (thread->stack_high == 0)
    begin_thread(thread);
  for (uintptr_t depth = FORESEEN_STEP_BYTES; depth <= FORESEEN_BYTES && sp < thread->stack_high; depth *= 2)
    if (!extend_down(thread, sp - depth))
      return;
}

/* Does the own stack hold it, as far as is known or can be found out? */
static ALWAYS_INLINE bool is_own(struct thread *thread, uintptr_t address)
{
  if (UNLIKELY(thread->stack_high == 0))
    begin_thread(thread);
  return LIKELY(address < thread->stack_high) && (LIKELY(address >= thread->stack_low) || extend_down(thread, address));
}

static ALWAYS_INLINE void open_own(struct stack_window *window, const struct thread *thread, uintptr_t sp)
{
  window->low = window->floor = above(sp - RED_ZONE_BYTES, thread->stack_low);
  window->high = thread->stack_high;
}

/* A stack whose bounds are not known yet, or a foreign one. */
static NOINLINE bool open_unknown(struct stack_window *window, uintptr_t sp)
{
  if (is_own(&this_thread, sp)) {
    open_own(window, &this_thread, sp);
    return true;
  }
  /* The caller of this stands on the page below sp, or on this one. */
  uintptr_t page = page_of(sp - 1);
  window->low = window->floor = above(page, sp - RED_ZONE_BYTES);
  window->high = page + PAGE_BYTES;
  return false;
}

bool stack_window_open(struct stack_window *window, uintptr_t sp)
{
  const struct thread *thread = &this_thread;
  window->left = 0;
  if (UNLIKELY(sp < thread->stack_low || sp >= thread->stack_high))
    return open_unknown(window, sp);
  open_own(window, thread, sp);
  return true;
}

void stack_window_cross(struct stack_window *window, uintptr_t sp)
{
  if (is_own(&this_thread, sp)) {
    open_own(window, &this_thread, sp);
    return;
  }
  window->floor = sp - RED_ZONE_BYTES;
  window->low = window->high = sp;
}

bool stack_window_is_own(const struct stack_window *window)
{
  return window->high == this_thread.stack_high;
}

bool stack_window_follow(struct stack_window *window, uintptr_t sp, uintptr_t bp)
{
  bool was_own = stack_window_is_own(window);
  stack_window_cross(window, bp);
  if (stack_window_is_own(window)) {
    window->left = sp;
    return !was_own;
  }
  /* A stack that was left goes on where that was, unless it has been moved since. */
  return window->left == 0 || (bp >= window->left && bp - window->left < CALL_BACK_MAX_BYTES);
}

bool stack_window_move(struct stack_window *window, uintptr_t address)
{
  const struct thread *thread = &this_thread;
  if (address < window->floor)
    return false;
  if (address < thread->stack_high && address >= thread->stack_low) {
    window->low = above(window->floor, thread->stack_low);
    window->high = thread->stack_high;
    return true;
  }
  uintptr_t page = page_of(address);
  if (stack_window_is_own(window) || !sys_is_readable(page))
    return false;
  if (page != window->high || window->low == window->high)
    window->low = above(page, window->floor);
  window->high = page + PAGE_BYTES;
  return true;
}
