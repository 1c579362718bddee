/* SPDX-License-Identifier: MIT */
/* Runs a function on another stack: for work too deep for the stack that a hook or a handler happens to be on.
 *
 * Threads: the caller makes sure that a stack has one user at a time. Signals: a handler without SA_ONSTACK would run
 * on the borrowed stack, so block signals around the call unless the stack is meant for that. Unwinders can walk
 * through the switch.
 */
#ifndef HEAPPROF_ON_STACK_H
#define HEAPPROF_ON_STACK_H

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/sys.h"

#include <stdbool.h>
#include <stddef.h>

/* Blocks every signal of the calling thread; signals_restore puts back what was. A system call each. */
struct blocked_signals {
  unsigned long mask;
};

enum { HOW_SET_MASK = 2 };

static inline struct blocked_signals signals_block(void)
{
  unsigned long all = ~0ul;
  struct blocked_signals before = {0};
  sys_call(SYS_rt_sigprocmask, HOW_SET_MASK, (long)&all, (long)&before.mask, sizeof all, 0, 0);
  return before;
}

static inline void signals_restore(struct blocked_signals before)
{
  sys_call(SYS_rt_sigprocmask, HOW_SET_MASK, (long)&before.mask, 0, sizeof before.mask, 0, 0);
}

/* Calls it on the stack that ends there, with signals blocked. Inline, as the next one, for a frame of its own would be
 * one more on the stack that is short. */
static ALWAYS_INLINE void on_stack_below(void *end, void (*function)(void *argument), void *argument)
{
  struct blocked_signals before = signals_block();
  arch_call_on_stack(function, argument, end);
  signals_restore(before);
}

/* The same on a stack that is mapped for this one call. False: no memory, nothing was called. */
static ALWAYS_INLINE bool on_fresh_stack(void (*function)(void *argument), void *argument, size_t stack_bytes)
{
  char *stack = sys_map_anonymous(stack_bytes);
  if (stack == NULL)
    return false;
  on_stack_below(stack + stack_bytes, function, argument);
  sys_munmap(stack, stack_bytes);
  return true;
}

#endif
