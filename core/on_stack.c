/* SPDX-License-Identifier: MIT */
#include "core/on_stack.h"

#include "core/sys.h"

/* System V AMD64: rdi function, rsi argument, rdx top. rbp keeps the old stack and is the CFA while we are away. */
__asm__(".text\n"
        ".globl on_stack\n"
        ".hidden on_stack\n"
        ".type on_stack, @function\n"
        "on_stack:\n"
        ".cfi_startproc\n"
        "  pushq %rbp\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset %rbp, -16\n"
        "  movq %rsp, %rbp\n"
        ".cfi_def_cfa_register %rbp\n"
        "  movq %rdx, %rsp\n"
        "  movq %rdi, %rax\n"
        "  movq %rsi, %rdi\n"
        "  call *%rax\n"
        "  leave\n"
        ".cfi_def_cfa %rsp, 8\n"
        "  ret\n"
        ".cfi_endproc\n"
        ".size on_stack, . - on_stack\n");

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
  on_stack(function, argument, stack + stack_bytes);
  signals_restore(before);
  sys_munmap(stack, stack_bytes);
  return true;
}
