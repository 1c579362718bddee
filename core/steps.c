/* SPDX-License-Identifier: MIT */
#include "core/steps.h"

#include "core/cfi/cfi.h"
#include "core/rules.h"
#include "core/stacks.h"

/* What is only believed to be a frame is not looked for beyond this on a stack whose end is not known. */
enum { GUESSED_FRAME_MAX_BYTES = 1 << 20 };

static bool is_too_far(const struct stack_window *window, const struct frame *frame, uintptr_t address)
{
  return address >= window->high && address - frame->sp > GUESSED_FRAME_MAX_BYTES;
}

/* No CFI. A frame pointer is believed as far as it keeps to the stack and moves up it. It never tells where a stack
 * ends: 0 is what code that uses bp for something else often has there. */
static NOINLINE enum step step_by_frame_pointer(struct stack_window *window, struct frame *frame)
{
  uintptr_t bp = frame->bp, saved_bp, return_address;
  if (bp < frame->sp || is_too_far(window, frame, bp) || !stack_window_read(window, bp, &saved_bp) ||
      !stack_window_read(window, bp + sizeof bp, &return_address) || return_address == 0)
    return STEP_LOST;
  frame->sp = bp + 2 * sizeof bp;
  frame->bp = saved_bp;
  frame->pc = arch_strip(return_address) - 1;
  return STEP_CALLER;
}

/* Was there no code where the program went to (a null pointer, or data, called)? Then its pc is where the fault was. */
static bool has_gone_astray(struct stack_window *window, uintptr_t sp, uintptr_t pc)
{
  uintptr_t trap, fault_address;
  return stack_window_read(window, sp + ARCH_SIGNAL_TRAP, &trap) && trap == ARCH_TRAP_PAGE_FAULT &&
         stack_window_read(window, sp + ARCH_SIGNAL_FAULT_ADDRESS, &fault_address) && fault_address == pc;
}

/* The interrupted registers, from the kernel's frame; they may be on another stack. */
static NOINLINE enum step step_over_signal(struct stack_window *window, struct frame *frame)
{
  uintptr_t pc, sp, bp;
  if (!stack_window_read(window, frame->sp + ARCH_SIGNAL_BP, &bp) ||
      !stack_window_read(window, frame->sp + ARCH_SIGNAL_SP, &sp) ||
      !stack_window_read(window, frame->sp + ARCH_SIGNAL_PC, &pc))
    return STEP_UNREADABLE;
  bool is_astray = has_gone_astray(window, frame->sp, pc);
  stack_window_cross(window, sp);
  *frame = (struct frame){.pc = pc, .sp = sp, .bp = bp};
  if (!is_astray)
    return pc != 0 ? STEP_CALLER : STEP_LOST;
  /* Nothing has run there: what the call left lies on top of the stack. */
  if (!stack_window_read(window, sp, &pc))
    return STEP_UNREADABLE;
  if (pc == 0)
    return STEP_LOST;
  *frame = (struct frame){.pc = arch_strip(pc) - 1, .sp = sp + sizeof pc, .bp = bp};
  return STEP_CALLER;
}

static NOINLINE enum step step_by_cfa(struct stack_window *window, struct frame *frame, packed_rule rule, uintptr_t cfa)
{
  uintptr_t return_address, bp = frame->bp, bp_at = cfa;
  /* A CFA that does not move up the stack is a wrong rule or a stack in the making: never go round in circles. */
  if (UNLIKELY(cfa <= frame->sp))
    return STEP_LOST;
  if (!stack_window_read(window, cfa + (uintptr_t)rule_ra_offset(rule), &return_address))
    return STEP_UNREADABLE;
  switch (rule_bp(rule)) {
  case RULE_BP_KEPT: break;
  case RULE_BP_AT_BP: bp_at = frame->bp; /* fall through */
  case RULE_BP_AT_CFA:
    if (stack_window_read(window, bp_at + (uintptr_t)rule_bp_offset(rule), &bp))
      break;
    /* fall through */
  case RULE_BP_LOST: bp = FRAME_BP_LOST; break;
  }
  if (return_address == 0)
    return STEP_END;
  *frame = (struct frame){.pc = arch_strip(return_address) - 1, .sp = cfa, .bp = bp};
  return STEP_CALLER;
}

static NOINLINE enum step step_by(packed_rule rule, struct stack_window *window, struct frame *frame, uint32_t *flags)
{
  uintptr_t base = frame->sp, cfa;
  switch (rule_kind(rule)) {
  case RULE_BP:
    base = frame->bp;
    if (UNLIKELY((*flags & STACK_FRAME_POINTERS) != 0) && is_too_far(window, frame, base))
      return STEP_LOST;
    /* fall through */
  case RULE_SP: return step_by_cfa(window, frame, rule, base + (uintptr_t)rule_cfa_offset(rule));
  case RULE_BP_DEREF: base = frame->bp; /* fall through */
  case RULE_SP_DEREF:
    if (!stack_window_read(window, base + (uintptr_t)rule_cfa_offset(rule), &cfa))
      return STEP_UNREADABLE;
    return step_by_cfa(window, frame, rule, cfa + (uintptr_t)rule_addend(rule));
  case RULE_SIGNAL: return step_over_signal(window, frame);
  case RULE_OUTERMOST: return STEP_OUT;
  case RULE_FRAME_POINTER: *flags |= STACK_FRAME_POINTERS; return step_by_frame_pointer(window, frame);
  case RULE_CAREFUL:
  case RULE_ABSENT: break;
  }
  return STEP_LOST;
}

enum step step_unusually(struct stack_window *window, struct frame *frame, uint32_t *flags)
{
  packed_rule rule = rule_cache_get(frame->pc);
  return step_by(LIKELY(rule != RULE_ABSENT) ? rule : cfi_compile(frame->pc), window, frame, flags);
}
