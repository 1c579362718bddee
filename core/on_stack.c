/* SPDX-License-Identifier: MIT */
#include "core/on_stack.h"

#include "core/sys.h"

enum { HOW_SET_MASK = 2 };

struct blocked_signals signals_block(void)
{
  unsigned long all = ~0ul;
  struct blocked_signals before = {0};
  sys_call(SYS_rt_sigprocmask, HOW_SET_MASK, (long)&all, (long)&before.mask, sizeof all, 0, 0);
  return before;
}

void signals_restore(struct blocked_signals before)
{
  sys_call(SYS_rt_sigprocmask, HOW_SET_MASK, (long)&before.mask, 0, sizeof before.mask, 0, 0);
}

bool on_fresh_stack(void (*function)(void *argument), void *argument, size_t stack_bytes)
{
  char *stack = sys_map_anonymous(stack_bytes);
  if (stack == NULL)
    return false;
  struct blocked_signals before = signals_block();
  arch_call_on_stack(function, argument, stack + stack_bytes);
  signals_restore(before);
  sys_munmap(stack, stack_bytes);
  return true;
}
