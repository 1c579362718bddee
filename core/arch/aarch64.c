/* SPDX-License-Identifier: MIT */
#include "core/arch/arch.h"

/* AAPCS64: x0 function, x1 argument, x2 top. x29 keeps the old stack and is the CFA while we are away. It begins with a
 * landing pad (bti c). */
__asm__(".text\n"
        ".globl arch_call_on_stack\n"
        ".hidden arch_call_on_stack\n"
        ".type arch_call_on_stack, %function\n"
        ".p2align 2\n"
        "arch_call_on_stack:\n"
        ".cfi_startproc\n"
        "  hint #34\n"
        "  stp x29, x30, [sp, #-16]!\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset x29, -16\n"
        ".cfi_offset x30, -8\n"
        "  mov x29, sp\n"
        ".cfi_def_cfa_register x29\n"
        "  mov sp, x2\n"
        "  mov x9, x0\n"
        "  mov x0, x1\n"
        "  blr x9\n"
        "  mov sp, x29\n"
        ".cfi_def_cfa_register sp\n"
        "  ldp x29, x30, [sp], #16\n"
        ".cfi_def_cfa_offset 0\n"
        ".cfi_restore x29\n"
        ".cfi_restore x30\n"
        "  ret\n"
        ".cfi_endproc\n"
        ".size arch_call_on_stack, . - arch_call_on_stack\n");

/* Code is not followed here: what has no unwind information is left by its frame pointer. */
bool arch_foresee_leaving(const uint8_t *code, const uint8_t *low, const uint8_t *high, struct arch_leaving *leaving)
{
  (void)code, (void)low, (void)high, (void)leaving;
  return false;
}

/* blr, and bl to what ends the thread: the result stays in its register. */
bool arch_is_first_call(const uint8_t *code)
{
  return (arch_instruction(code - 4) & 0xfefff000u) == 0xd63f0000u && arch_is_branch(arch_instruction(code), ARCH_BL);
}
