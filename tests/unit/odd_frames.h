/* SPDX-License-Identifier: MIT */
/* Functions that call another one from frames that compilers seldom make: without unwind information, with and without a frame pointer;
 * and counted from another register than sp and bp, as the loader's are. And the code of such a function without unwind information, to be
 * put anywhere, with the place that it is returned to; and how calls are told.
 */
#ifndef HEAPPROF_ODD_FRAMES_H
#define HEAPPROF_ODD_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef unsigned (*callback)(void);
unsigned call_with_frame_pointer(callback function);
unsigned call_without_frame_pointer(callback function);
unsigned call_by_other_register(callback function);

#define ODD_FRAME(name, code)                                                                                          \
  __asm__(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n.p2align 4\n" #name ":\n" code      \
          ".size " #name ", . - " #name "\n")

#if defined(__x86_64__)

/* push %rbp; mov %rsp, %rbp; call *%rdi; leave; ret */
#define ODD_CODE                                                                                                       \
  {                                                                                                                    \
    0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0xc9, 0xc3                                                                     \
  }
enum { ODD_CODE_RETURN = 6 };

/* Where return addresses are, from the CFA. */
static inline bool odd_is_usual(intptr_t return_address, intptr_t bp)
{
  (void)bp;
  return return_address == -8;
}

/* call rel32, which ends there. */
static inline bool odd_call_target(uintptr_t end, uintptr_t *target)
{
  int32_t distance;
  memcpy(&distance, (const void *)(end - 4), sizeof distance);
  *target = end + (uintptr_t)(intptr_t)distance;
  return *(const uint8_t *)(end - 5) == 0xe8;
}

/* The CFA is loaded from the stack then. */
#define REALIGNED __attribute__((force_align_arg_pointer))

ODD_FRAME(call_with_frame_pointer, "  pushq %rbp\n"
                                   "  movq %rsp, %rbp\n"
                                   "  subq $48, %rsp\n"
                                   "  call *%rdi\n"
                                   "  leave\n"
                                   "  ret\n");
ODD_FRAME(call_without_frame_pointer, "  pushq %rbp\n"
                                      "  movq $0x1234567, %rbp\n"
                                      "  call *%rdi\n"
                                      "  popq %rbp\n"
                                      "  ret\n");
ODD_FRAME(call_by_other_register, "  .cfi_startproc\n"
                                  "  pushq %rbx\n"
                                  "  .cfi_adjust_cfa_offset 8\n"
                                  "  .cfi_offset %rbx, -16\n"
                                  "  movq %rsp, %rbx\n"
                                  "  .cfi_def_cfa_register %rbx\n"
                                  "  andq $-64, %rsp\n"
                                  "  call *%rdi\n"
                                  "  movq %rbx, %rsp\n"
                                  "  .cfi_def_cfa_register %rsp\n"
                                  "  popq %rbx\n"
                                  "  .cfi_adjust_cfa_offset -8\n"
                                  "  ret\n"
                                  "  .cfi_endproc\n");

#elif defined(__aarch64__)

/* stp x29, x30, [sp, #-16]!; mov x29, sp; blr x0; ldp x29, x30, [sp], #16; ret */
#define ODD_CODE                                                                                                       \
  {                                                                                                                    \
    0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91, 0x00, 0x00, 0x3f, 0xd6, 0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f,  \
        0xd6                                                                                                           \
  }
enum { ODD_CODE_RETURN = 12 };

/* Above the frame pointer, wherever that is; alone where it is not kept. */
static inline bool odd_is_usual(intptr_t return_address, intptr_t bp)
{
  return return_address < 0 && (bp == 0 || return_address == bp + 8);
}

/* bl. */
static inline bool odd_call_target(uintptr_t end, uintptr_t *target)
{
  uint32_t instruction;
  memcpy(&instruction, (const void *)(end - 4), sizeof instruction);
  *target = end - 4 + (uintptr_t)(intptr_t)((int32_t)(instruction << 6) >> 4);
  return end % 4 == 0 && instruction >> 26 == 0x25;
}

#define REALIGNED

ODD_FRAME(call_with_frame_pointer, "  stp x29, x30, [sp, #-64]!\n"
                                   "  mov x29, sp\n"
                                   "  blr x0\n"
                                   "  ldp x29, x30, [sp], #64\n"
                                   "  ret\n");
ODD_FRAME(call_without_frame_pointer, "  stp x29, x30, [sp, #-16]!\n"
                                      "  mov x29, #0x4567\n"
                                      "  blr x0\n"
                                      "  ldp x29, x30, [sp], #16\n"
                                      "  ret\n");
ODD_FRAME(call_by_other_register, "  .cfi_startproc\n"
                                  "  stp x19, x30, [sp, #-16]!\n"
                                  "  .cfi_adjust_cfa_offset 16\n"
                                  "  .cfi_offset x19, -16\n"
                                  "  .cfi_offset x30, -8\n"
                                  "  mov x19, sp\n"
                                  "  .cfi_def_cfa_register x19\n"
                                  "  sub x1, x19, #80\n"
                                  "  and sp, x1, #-64\n"
                                  "  blr x0\n"
                                  "  mov sp, x19\n"
                                  "  .cfi_def_cfa_register sp\n"
                                  "  ldp x19, x30, [sp], #16\n"
                                  "  .cfi_adjust_cfa_offset -16\n"
                                  "  ret\n"
                                  "  .cfi_endproc\n");

#endif

#endif
