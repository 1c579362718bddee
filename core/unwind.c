/* SPDX-License-Identifier: MIT */
#include "core/unwind.h"

#include "core/cfi.h"
#include "core/modules.h"
#include "core/rules.h"
#include "core/stacks.h"

static struct address_range hidden;

/* Our own frames: few, only where a real function calls back into the program or into another hook. */
enum { HIDDEN_FRAMES_MAX = 8 };

void unwind_hide(uintptr_t low, uintptr_t high)
{
  hidden = (struct address_range){low, high};
}

static bool is_hidden(uintptr_t pc)
{
  return pc >= hidden.low && pc < hidden.high;
}

/* A frame: the pc to look its rule up with, and the registers that rules speak of. */
struct frame {
  uintptr_t pc;
  uintptr_t sp;
  uintptr_t bp;
};

enum step {
  STEP_CALLER,
  STEP_END, /* that was the outermost frame */
  STEP_LOST,
};

/* No CFI. A frame pointer is believed as far as it keeps to the stack and moves up it. */
static enum step step_by_frame_pointer(struct stack_window *window, struct frame *frame)
{
  uintptr_t bp = frame->bp, saved_bp, return_address;
  if (bp == 0)
    return STEP_END;
  if (bp < frame->sp || !stack_window_read(window, bp, &saved_bp) ||
      !stack_window_read(window, bp + sizeof bp, &return_address))
    return STEP_LOST;
  frame->sp = bp + 2 * sizeof bp;
  frame->bp = saved_bp;
  frame->pc = return_address - 1;
  return return_address != 0 ? STEP_CALLER : STEP_END;
}

/* The interrupted registers, from the ucontext of the x86-64 kernel ABI; they may be on another stack. */
static enum step step_over_signal(struct stack_window *window, struct frame *frame)
{
  enum { GENERAL_REGISTERS = 40, RBP = GENERAL_REGISTERS + 10 * 8, RSP = GENERAL_REGISTERS + 15 * 8, RIP = RSP + 8 };
  uintptr_t pc, sp, bp;
  if (!stack_window_read(window, frame->sp + RBP, &bp) || !stack_window_read(window, frame->sp + RSP, &sp) ||
      !stack_window_read(window, frame->sp + RIP, &pc) || pc == 0)
    return STEP_LOST;
  (void)stack_window_open(window, sp, 0);
  *frame = (struct frame){.pc = pc, .sp = sp, .bp = bp};
  return STEP_CALLER;
}

static inline enum step step_by_cfa(struct stack_window *window, struct frame *frame, packed_rule rule, uintptr_t cfa)
{
  uintptr_t return_address, bp = frame->bp;
  /* A CFA that does not move up the stack is a wrong rule or a stack in the making: never go round in circles. */
  if (UNLIKELY(cfa <= frame->sp) || !stack_window_read(window, cfa + (uintptr_t)rule_ra_offset(rule), &return_address))
    return STEP_LOST;
  switch (rule_bp(rule)) {
  case RULE_BP_KEPT: break;
  case RULE_BP_AT_CFA:
    if (!stack_window_read(window, cfa + (uintptr_t)rule_bp_offset(rule), &bp))
      return STEP_LOST;
    break;
  case RULE_BP_AT_BP:
    if (!stack_window_read(window, frame->bp + (uintptr_t)rule_bp_offset(rule), &bp))
      return STEP_LOST;
    break;
  case RULE_BP_LOST: bp = 1; break; /* misaligned: no later rule can use it */
  }
  if (return_address == 0)
    return STEP_END;
  *frame = (struct frame){.pc = return_address - 1, .sp = cfa, .bp = bp};
  return STEP_CALLER;
}

static NOINLINE enum step step(struct stack_window *window, struct frame *frame, uint32_t *flags)
{
  packed_rule rule = rule_cache_get(frame->pc);
  if (UNLIKELY(rule == RULE_ABSENT))
    rule = cfi_compile(frame->pc);
  uintptr_t base = frame->sp, cfa;
  switch (rule_kind(rule)) {
  case RULE_BP: base = frame->bp; /* fall through */
  case RULE_SP: return step_by_cfa(window, frame, rule, base + (uintptr_t)rule_cfa_offset(rule));
  case RULE_BP_DEREF: base = frame->bp; /* fall through */
  case RULE_SP_DEREF:
    if (!stack_window_read(window, base + (uintptr_t)rule_cfa_offset(rule), &cfa))
      return STEP_LOST;
    return step_by_cfa(window, frame, rule, cfa + (uintptr_t)rule_addend(rule));
  case RULE_SIGNAL: return step_over_signal(window, frame);
  case RULE_OUTERMOST: return STEP_END;
  case RULE_FRAME_POINTER: *flags |= STACK_FRAME_POINTERS; return step_by_frame_pointer(window, frame);
  case RULE_ABSENT: break;
  }
  return STEP_LOST;
}

/* Nearly all frames: a known rule, CFA from sp or bp, bp kept or saved at the CFA, everything on this stack. False: nothing was
 * done, step() knows. Offsets are multiples of a word, so where the CFA is aligned the words are. */
static ALWAYS_INLINE bool step_usually(const struct stack_window *window, struct frame *frame, unsigned *place)
{
  uint64_t key = rule_key(frame->pc);
  unsigned guessed = atomic_load_explicit(&rule_cache_next[*place], memory_order_relaxed);
  packed_rule rule = rule_cache_get_at(guessed, key);
  if (UNLIKELY(rule == RULE_ABSENT)) {
    guessed = rule_cache_find(frame->pc, key);
    rule = rule_cache_get_at(guessed, key);
    atomic_store_explicit(&rule_cache_next[*place], (uint16_t)guessed, memory_order_relaxed);
  }
  *place = guessed;
  enum rule_kind kind = rule_kind(rule);
  enum rule_bp saved = rule_bp(rule);
  uintptr_t span = window->high - window->low;
  uintptr_t cfa = (kind == RULE_SP ? frame->sp : frame->bp) + (uintptr_t)rule_cfa_offset(rule);
  uintptr_t return_at = cfa + (uintptr_t)rule_ra_offset(rule), bp_at = cfa + (uintptr_t)rule_bp_offset(rule);
  if (UNLIKELY((unsigned)kind - RULE_SP > RULE_BP - RULE_SP || saved > RULE_BP_AT_CFA || cfa % sizeof cfa != 0 ||
               cfa <= frame->sp || return_at - window->low >= span))
    return false;
  uintptr_t return_address = *(const volatile uintptr_t *)return_at;
  if (UNLIKELY(return_address == 0))
    return false;
  if (saved == RULE_BP_AT_CFA) {
    if (UNLIKELY(bp_at - window->low >= span))
      return false;
    frame->bp = *(const volatile uintptr_t *)bp_at;
  }
  frame->pc = return_address - 1;
  frame->sp = cfa;
  return true;
}

unsigned unwind_walk(const struct unwind_start *start, struct stack_window *window, uintptr_t *pcs, unsigned depth,
                     uint32_t *flags)
{
  struct frame frame = {.pc = start->return_address - 1, .sp = start->sp, .bp = start->bp};
  unsigned count = 0, place = rule_cache_start(frame.pc);
  enum step stepped = STEP_CALLER;
  for (unsigned steps = 0; stepped == STEP_CALLER && count < depth && steps < depth + HIDDEN_FRAMES_MAX; steps++) {
    if (!is_hidden(frame.pc))
      pcs[count++] = modules_recorded_pc(frame.pc);
    if (LIKELY(step_usually(window, &frame, &place)))
      continue;
    struct frame unusual = frame; /* of its own: the address of `frame` would keep it out of registers */
    stepped = step(window, &unusual, flags);
    frame = unusual;
  }
  if (stepped != STEP_END)
    *flags |= STACK_TRUNCATED;
  return count > 0 ? count : unwind_caller(start, pcs, flags);
}

unsigned unwind_caller(const struct unwind_start *start, uintptr_t *pcs, uint32_t *flags)
{
  pcs[0] = modules_recorded_pc(start->return_address - 1);
  *flags |= STACK_TRUNCATED;
  return 1;
}
