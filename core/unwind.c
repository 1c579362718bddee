/* SPDX-License-Identifier: MIT */
#include "core/unwind.h"

#include "core/cfi/cfi.h"
#include "core/cuts.h"
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

enum step {
  STEP_CALLER,
  STEP_OUT,        /* that was the outermost frame, by its rule */
  STEP_END,        /* that was the outermost frame: by its rule it returns to 0 */
  STEP_LOST,       /* no rule leads on */
  STEP_UNREADABLE, /* one does, to where nothing can be read */
  STEP_FULL,       /* there is a caller, but no room for it */
};

/* What is only believed to be a frame is not looked for beyond this on a stack whose end is not known. */
enum { GUESSED_FRAME_MAX_BYTES = 1 << 20 };

static bool is_too_far(const struct stack_window *window, const struct frame *frame, uintptr_t address)
{
  return address >= window->high && address - frame->sp > GUESSED_FRAME_MAX_BYTES;
}

/* No CFI. A frame pointer is believed as far as it keeps to the stack and moves up it. It never tells where a stack
 * ends: 0 is what code that uses bp for something else often has there. */
static enum step step_by_frame_pointer(struct stack_window *window, struct frame *frame)
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
static enum step step_over_signal(struct stack_window *window, struct frame *frame)
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

static inline enum step step_by_cfa(struct stack_window *window, struct frame *frame, packed_rule rule, uintptr_t cfa)
{
  uintptr_t return_address, bp = frame->bp;
  /* A CFA that does not move up the stack is a wrong rule or a stack in the making: never go round in circles. */
  if (UNLIKELY(cfa <= frame->sp))
    return STEP_LOST;
  if (!stack_window_read(window, cfa + (uintptr_t)rule_ra_offset(rule), &return_address))
    return STEP_UNREADABLE;
  switch (rule_bp(rule)) {
  case RULE_BP_KEPT: break;
  case RULE_BP_AT_CFA:
    if (!stack_window_read(window, cfa + (uintptr_t)rule_bp_offset(rule), &bp))
      return STEP_UNREADABLE;
    break;
  case RULE_BP_AT_BP:
    if (!stack_window_read(window, frame->bp + (uintptr_t)rule_bp_offset(rule), &bp))
      return STEP_UNREADABLE;
    break;
  case RULE_BP_LOST: bp = 1; break; /* misaligned: no later rule can use it */
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

/* Compiling has as little of the stack below it as can be. */
static NOINLINE enum step step(struct stack_window *window, struct frame *frame, uint32_t *flags)
{
  packed_rule rule = rule_cache_get(frame->pc);
  if (UNLIKELY(rule == RULE_ABSENT))
    rule = cfi_compile(frame->pc);
  return step_by(rule, window, frame, flags);
}

/* Nearly all frames: a known rule, CFA from sp or bp, bp kept or saved at the CFA, everything on this stack and above
 * sp. False: nothing was done, step() takes over. Offsets are multiples of a word, so where the CFA is aligned the
 * words are. */
static ALWAYS_INLINE bool step_usually(const struct stack_window *window, struct frame *frame, struct trail_step *made)
{
  packed_rule rule = rule_cache_get(frame->pc);
  enum rule_kind kind = rule_kind(rule);
  enum rule_bp saved = rule_bp(rule);
  uintptr_t cfa = (kind == RULE_SP ? frame->sp : frame->bp) + (uintptr_t)rule_cfa_offset(rule);
  uintptr_t return_at = cfa + (uintptr_t)rule_ra_offset(rule), bp_at = cfa + (uintptr_t)rule_bp_offset(rule);
  uintptr_t span = window->high - window->low;
  if (UNLIKELY((unsigned)kind - RULE_SP > RULE_BP - RULE_SP || saved > RULE_BP_AT_CFA || cfa % sizeof cfa != 0 ||
               cfa <= frame->sp || return_at < frame->sp || return_at - window->low >= span))
    return false;
  uintptr_t return_address = *(const volatile uintptr_t *)return_at;
  if (UNLIKELY(return_address == 0))
    return false;
  *made = (struct trail_step){.return_at = (uint32_t)((return_at - frame->sp) / sizeof cfa),
                              .bp_at = TRAIL_BP_KEPT,
                              .counts_from_bp = kind == RULE_BP};
  if (saved == RULE_BP_AT_CFA) {
    if (UNLIKELY(bp_at < frame->sp || bp_at - window->low >= span))
      return false;
    made->bp_at = (uint32_t)((bp_at - frame->sp) / sizeof cfa);
    frame->bp = *(const volatile uintptr_t *)bp_at;
  }
  frame->pc = arch_strip(return_address) - 1;
  frame->sp = cfa;
  return true;
}

struct walk {
  struct stack_window *window;
  struct trail_cursor *trail;
  uintptr_t *pcs;
  unsigned count, depth;
};

static ALWAYS_INLINE enum step put_frame(struct walk *walk, uintptr_t pc)
{
  if (UNLIKELY(is_hidden(pc)))
    return STEP_CALLER;
  if (UNLIKELY(walk->count == walk->depth))
    return STEP_FULL;
  walk->pcs[walk->count++] = modules_recorded_pc(pc);
  return STEP_CALLER;
}

/* Follows the last walk as far as it went the same way. False: not a single step. */
static ALWAYS_INLINE bool follow_trail(struct walk *walk, struct frame *frame, enum step *stepped)
{
  struct trail_cursor *trail = walk->trail;
  int first = trail_find(trail, frame), known = first;
  if (known < 0)
    return false;
  const struct trail_frame *frames = trail->trail->frames;
  uintptr_t bp = frame->bp;
  while (known > 0 && trail_goes_on(trail->trail, known, walk->window, &bp) &&
         (*stepped = put_frame(walk, frames[known - 1].frame.pc)) == STEP_CALLER)
    known--;
  if (frames[known].step.return_at == TRAIL_OUTERMOST)
    *stepped = STEP_OUT;
  else if (*stepped == STEP_FULL)
    known--;
  if (known == 0 && *stepped == (frames[0].step.is_hidden ? STEP_FULL : STEP_OUT))
    trail->kept_count = (unsigned)first + 1;
  else
    trail_note_again(trail, first, known + 1, frame->bp);
  trail->known = known - 1;
  *frame = frames[known].frame;
  frame->bp = bp;
  return known != first || *stepped != STEP_CALLER;
}

static ALWAYS_INLINE enum step step_by_rule(struct walk *walk, struct frame *frame, uint32_t *flags)
{
  struct frame from = *frame;
  struct trail_step made = {.return_at = TRAIL_UNUSUAL};
  enum step stepped = STEP_CALLER;
  if (UNLIKELY(!step_usually(walk->window, frame, &made))) {
    struct frame unusual = from; /* a copy: taking the address of `frame` would keep it out of registers */
    stepped = step(walk->window, &unusual, flags);
    *frame = unusual;
    if (!is_hidden(from.pc)) /* only now is it known whether its library lies where another one had been */
      walk->pcs[walk->count - 1] = modules_recorded_pc(from.pc);
    made.return_at = stepped == STEP_OUT ? TRAIL_OUTERMOST : TRAIL_UNUSUAL;
  }
  made.is_hidden = is_hidden(from.pc);
  trail_note(walk->trail, &from, made);
  return LIKELY(stepped == STEP_CALLER) ? put_frame(walk, frame->pc) : stepped;
}

static COLD enum cut cut_by(enum step last, const struct stack_window *window)
{
  switch (last) {
  case STEP_CALLER: /* frames of ours beyond all measure */
  case STEP_FULL: return CUT_depth;
  case STEP_UNREADABLE: return stack_window_is_own(window) ? CUT_unreadable : CUT_foreign_stack;
  case STEP_LOST:
  case STEP_END: /* where only frame pointers led: it tells nothing */
  case STEP_OUT: break;
  }
  return CUT_no_cfi;
}

unsigned unwind_walk(const struct unwind_start *start, struct stack_window *window, struct trail_cursor *trail,
                     uintptr_t *pcs, unsigned depth, uint32_t *flags)
{
  struct frame frame = {.pc = start->return_address - 1, .sp = start->sp, .bp = start->bp};
  struct walk walk = {.window = window, .trail = trail, .pcs = pcs, .depth = depth};
  enum step stepped = put_frame(&walk, frame.pc);
  for (unsigned steps = 0; stepped == STEP_CALLER && steps < depth + HIDDEN_FRAMES_MAX; steps++)
    if (!follow_trail(&walk, &frame, &stepped))
      stepped = step_by_rule(&walk, &frame, flags);
  if ((stepped == STEP_FULL || stepped == STEP_CALLER) && trail->kept_count == 0) /* where it goes on to */
    trail_note(trail, &frame, (struct trail_step){.return_at = TRAIL_UNUSUAL, .is_hidden = true});
  if (stepped != STEP_OUT && (stepped != STEP_END || (*flags & STACK_FRAME_POINTERS) != 0))
    *flags |= cut_flags(cut_by(stepped, window));
  return walk.count > 0 ? walk.count : unwind_caller(start, pcs, flags);
}

unsigned unwind_caller(const struct unwind_start *start, uintptr_t *pcs, uint32_t *flags)
{
  pcs[0] = modules_recorded_pc(start->return_address - 1);
  if ((*flags & STACK_TRUNCATED) == 0)
    *flags |= cut_flags(CUT_no_memory);
  return 1;
}
