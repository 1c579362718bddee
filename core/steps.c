/* SPDX-License-Identifier: MIT */
#include "core/steps.h"

#include "core/cfi/cfi.h"
#include "core/cfi/objects.h"
#include "core/config.h"
#include "core/on_stack.h"
#include "core/rules.h"
#include "core/stacks.h"
#include "core/sys.h"

static packed_rule rule_of(uintptr_t pc)
{
  packed_rule rule = rule_cache_get(pc);
  return LIKELY(rule != RULE_ABSENT) ? rule : cfi_compile(pc);
}

bool step_is_over_signal(uintptr_t pc)
{
  return rule_kind(rule_of(pc)) == RULE_SIGNAL;
}

/* What is only believed to be a frame is not looked for beyond this on a stack whose end is not known. */
enum { GUESSED_FRAME_MAX_BYTES = 1 << 20 };

static bool is_too_far(const struct stack_window *window, const struct frame *frame, uintptr_t address)
{
  return address >= window->high && address - frame->sp > GUESSED_FRAME_MAX_BYTES;
}

static NOINLINE bool is_generated(uintptr_t pc)
{
  struct object_holder holder;
  return !objects_ask_loader(pc, &holder);
}

/* Erlang's generated code has changed the stack before it calls C. Its frame pointer is believed if it leads to a place
 * behind a call in such code, and only where it leaves the thread's own stack: once in a walk. Other programs may hold
 * anything there, of which another thread takes the memory away between question and look. */
static NOINLINE enum step step_to_other_stack(struct stack_window *window, struct frame *frame)
{
  uintptr_t bp = frame->bp, saved_bp, return_address;
  if (bp < GUESSED_FRAME_MAX_BYTES || !stack_window_is_own(window) || !modules_are_of_erlang() ||
      !is_generated(frame->pc))
    return STEP_LOST;
  stack_window_cross(window, bp);
  if (stack_window_is_own(window) || !stack_window_read(window, bp, &saved_bp) ||
      !stack_window_read(window, bp + sizeof bp, &return_address) || saved_bp <= bp || !is_generated(return_address) ||
      !sys_is_readable(return_address - sizeof bp) || !arch_is_behind_call((const uint8_t *)return_address))
    return STEP_LOST;
  *frame = (struct frame){.pc = return_address - 1, .sp = bp + 2 * sizeof bp, .bp = saved_bp};
  return STEP_CALLER;
}

/* Where frames go on above their frame pointer, how far is told by the caller's rule, if that counts both from its end.
 * Else sp is somewhere above `least`. */
static uintptr_t sp_above_frame_pointer(uintptr_t pc, uintptr_t least, uintptr_t callers_bp)
{
  if (ARCH_FRAME_POINTER_ENDS_FRAME)
    return least;
  packed_rule rule = rule_of(pc);
  uintptr_t sp = callers_bp - (uintptr_t)rule_bp_offset(rule) - (uintptr_t)rule_cfa_offset(rule);
  bool is_told = rule_kind(rule) == RULE_SP && rule_bp(rule) == RULE_BP_AT_CFA &&
                 rule_ra_offset(rule) == rule_bp_offset(rule) + (intptr_t)sizeof sp;
  return is_told && sp > least ? sp : least;
}

/* No CFI. A frame pointer is believed as far as it keeps to the stack and moves up it. It never tells where a stack
 * ends: 0 is what code that uses bp for something else often has there. */
static NOINLINE enum step step_by_frame_pointer(struct stack_window *window, struct frame *frame)
{
  uintptr_t bp = frame->bp, saved_bp, return_address;
  if (bp < frame->sp || is_too_far(window, frame, bp))
    return step_to_other_stack(window, frame);
  if (!stack_window_read(window, bp, &saved_bp) || !stack_window_read(window, bp + sizeof bp, &return_address) ||
      return_address == 0)
    return STEP_LOST;
  frame->pc = arch_strip(return_address) - 1;
  frame->sp = sp_above_frame_pointer(frame->pc, bp + 2 * sizeof bp, saved_bp);
  frame->bp = saved_bp;
  return STEP_CALLER;
}

static NOINLINE enum step step_into_code_of_go(uintptr_t pc)
{
  enum rule_kind kind = rule_kind(rule_of(pc));
  return kind == RULE_KEPT_FRAME || kind == RULE_OUTERMOST ? STEP_CALLER : STEP_LOST;
}

/* No CFI, but the code keeps to the convention of frame pointers, and may have changed the stack: Go, where it calls C.
 * A frame elsewhere is believed if it returns to such code, too. */
static NOINLINE enum step step_by_kept_frame(struct stack_window *window, struct frame *frame)
{
  uintptr_t bp = frame->bp, saved_bp, return_address;
  if (bp >= frame->sp && !is_too_far(window, frame, bp))
    return step_by_frame_pointer(window, frame);
  if (bp == 0 || bp == FRAME_BP_LOST)
    return STEP_LOST;
  if (!stack_window_follow(window, frame->sp, bp) || !stack_window_read(window, bp, &saved_bp) ||
      !stack_window_read(window, bp + sizeof bp, &return_address))
    return STEP_UNREADABLE;
  *frame = (struct frame){.pc = return_address - 1, .sp = bp + 2 * sizeof bp, .bp = saved_bp};
  return step_into_code_of_go(return_address - 1);
}

/* Was there no code where the program went to (a null pointer, or data, called)? Then its pc is where the fault was. */
static bool has_gone_astray(struct stack_window *window, uintptr_t sp, uintptr_t pc)
{
  uintptr_t trap = ARCH_TRAP_PAGE_FAULT, fault_address;
  bool is_told = ARCH_SIGNAL_TRAP < 0 || stack_window_read(window, sp + (uintptr_t)ARCH_SIGNAL_TRAP, &trap);
  return is_told && trap == ARCH_TRAP_PAGE_FAULT &&
         stack_window_read(window, sp + ARCH_SIGNAL_FAULT_ADDRESS, &fault_address) && fault_address == pc;
}

/* What a call has left in the register for it; 0 on machines that have none. */
static bool read_link(struct stack_window *window, uintptr_t sp, uintptr_t *link)
{
  *link = 0;
  return ARCH_SIGNAL_LINK == 0 || stack_window_read(window, sp + ARCH_SIGNAL_LINK, link);
}

/* The interrupted registers, from the kernel's frame; they may be on another stack. */
static NOINLINE enum step step_over_signal(struct stack_window *window, struct frame *frame)
{
  uintptr_t pc, sp, bp, link;
  if (!stack_window_read(window, frame->sp + ARCH_SIGNAL_BP, &bp) ||
      !stack_window_read(window, frame->sp + ARCH_SIGNAL_SP, &sp) ||
      !stack_window_read(window, frame->sp + ARCH_SIGNAL_PC, &pc) || !read_link(window, frame->sp, &link))
    return STEP_UNREADABLE;
  bool is_astray = has_gone_astray(window, frame->sp, pc);
  stack_window_cross(window, sp);
  *frame = (struct frame){.pc = pc, .sp = sp, .bp = bp};
  if (!is_astray)
    return pc != 0 ? STEP_CALLER : STEP_LOST;
  /* Nothing has run there: what the call left lies where it left it. */
  if (ARCH_SIGNAL_LINK == 0 && !stack_window_read(window, sp, &link))
    return STEP_UNREADABLE;
  if (link == 0)
    return STEP_LOST;
  *frame = (struct frame){.pc = arch_strip(link) - 1, .sp = sp + ARCH_CALL_BYTES, .bp = bp};
  return STEP_CALLER;
}

static SAMPLED NOINLINE enum step step_by_cfa(struct stack_window *window, struct frame *frame, packed_rule rule,
                                              uintptr_t cfa)
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

/* With all registers. The window follows them. */

static uint64_t bit_of(unsigned dwarf_register)
{
  return 1ull << dwarf_register;
}

static struct frame frame_of(const struct cfi_registers *registers)
{
  const uintptr_t *values = registers->values;
  bool has_bp = (registers->known & bit_of(ARCH_DWARF_BP)) != 0;
  return (struct frame){
      .pc = values[ARCH_DWARF_PC], .sp = values[ARCH_DWARF_SP], .bp = has_bp ? values[ARCH_DWARF_BP] : FRAME_BP_LOST};
}

/* Of the registers beside `frame` those in `known` are still what they were. */
static void put_frame(struct cfi_registers *registers, uint64_t known, const struct frame *frame)
{
  registers->known = known | bit_of(ARCH_DWARF_PC) | bit_of(ARCH_DWARF_SP);
  registers->known &= ~bit_of(ARCH_DWARF_BP);
  if (frame->bp != FRAME_BP_LOST)
    registers->known |= bit_of(ARCH_DWARF_BP);
  registers->values[ARCH_DWARF_PC] = frame->pc;
  registers->values[ARCH_DWARF_SP] = frame->sp;
  registers->values[ARCH_DWARF_BP] = frame->bp;
}

static enum step carefully_over_signal(struct stack_window *window, struct careful *careful)
{
  static const uint8_t words[ARCH_DWARF_REGISTERS] = ARCH_SIGNAL_WORDS;
  struct frame frame = frame_of(&careful->registers);
  uint64_t known = 0;
  for (unsigned i = 0; i < ARCH_DWARF_REGISTERS; i++)
    if (stack_window_read(window, frame.sp + ARCH_SIGNAL_REGISTERS + words[i] * sizeof(uintptr_t),
                          &careful->registers.values[i]))
      known |= bit_of(i);
  enum step stepped = step_over_signal(window, &frame);
  put_frame(&careful->registers, known, &frame);
  return stepped;
}

static enum step carefully_by_frame_pointer(struct stack_window *window, struct careful *careful,
                                            enum step (*step)(struct stack_window *, struct frame *))
{
  struct frame frame = frame_of(&careful->registers);
  enum step stepped = step(window, &frame);
  put_frame(&careful->registers, 0, &frame);
  return stepped;
}

/* A frame that the kernel made for a handler may have interrupted another stack. All others lie below their callers',
 * or have left the stack by the time; only so can the way not lead round in circles. */
static enum step go_to_caller(struct stack_window *window, struct careful *careful, struct frame before)
{
  const struct cfi_registers *registers = &careful->registers;
  struct frame now = frame_of(registers);
  if (registers->is_interrupted)
    stack_window_cross(window, now.sp);
  bool goes_on = registers->is_interrupted || now.sp > before.sp || (now.sp == before.sp && now.pc != before.pc);
  return goes_on ? STEP_CALLER : STEP_LOST;
}

static enum step go_on(struct stack_window *window, struct careful *careful, enum cfi_step stepped, struct frame before)
{
  switch (stepped) {
  case CFI_STEP_CALLER: return go_to_caller(window, careful, before);
  case CFI_STEP_OUTERMOST: return STEP_OUT;
  case CFI_STEP_END: return STEP_END;
  case CFI_STEP_UNREADABLE: return STEP_UNREADABLE;
  case CFI_STEP_NO_ROW:
  case CFI_STEP_UNKNOWN: break;
  }
  return STEP_LOST;
}

static NOINLINE enum step carefully_by_recipe(struct stack_window *window, struct careful *careful)
{
  struct frame before = frame_of(&careful->registers);
  return go_on(window, careful, cfi_step_by_recipe(&careful->recipe, &careful->registers, window), before);
}

/* What no recipe says, as of an interrupted jump: on a stack of ours, for it takes more than there may be, with signals
 * blocked, as handlers would run there. */

struct step_by_row {
  struct stack_window *window;
  struct careful *careful;
  enum step stepped;
};

static void step_by_row(void *argument)
{
  struct step_by_row *on = argument;
  struct frame before = frame_of(&on->careful->registers);
  enum cfi_step stepped = cfi_step(&on->careful->registers, on->window);
  on->stepped = go_on(on->window, on->careful, stepped, before);
}

static NOINLINE enum step carefully_by_row(struct stack_window *window, struct careful *careful)
{
  struct step_by_row on = {window, careful, STEP_LOST};
  if (!sys_may_call(SYS_rt_sigprocmask))
    return STEP_LOST;
  struct blocked_signals before = signals_block();
  arch_call_on_stack(step_by_row, &on, careful->stack + sizeof careful->stack);
  signals_restore(before);
  return on.stepped;
}

static NOINLINE void find_recipe(struct careful *careful)
{
  uintptr_t pc = careful->registers.values[ARCH_DWARF_PC];
  if (!recipes_get(pc, &careful->recipe))
    cfi_compile_recipe(pc, &careful->recipe);
}

static NOINLINE enum step step_carefully(struct stack_window *window, struct careful *careful)
{
  switch (rule_kind(careful->recipe.rule)) {
  case RULE_SIGNAL: return carefully_over_signal(window, careful);
  case RULE_OUTERMOST: return STEP_OUT;
  case RULE_FRAME_POINTER: return carefully_by_frame_pointer(window, careful, step_by_frame_pointer);
  case RULE_KEPT_FRAME: return carefully_by_frame_pointer(window, careful, step_by_kept_frame);
  case RULE_ABSENT: return STEP_LOST;
  case RULE_CAREFUL:
    if (recipe_register(&careful->recipe) == RECIPE_NO_REGISTER)
      return carefully_by_row(window, careful);
    /* fall through */
  default: return carefully_by_recipe(window, careful);
  }
}

static ALWAYS_INLINE bool is_at(const struct cfi_registers *registers, const struct frame *frame)
{
  return registers->values[ARCH_DWARF_PC] == frame->pc && registers->values[ARCH_DWARF_SP] == frame->sp;
}

/* To the frame that the walk has come to, and on from there. The way begins with the registers of this very function;
 * what is compiled on it finds little else on the stack. */
static NOINLINE enum step step_by_all_registers(struct stack_window *window, struct frame *frame,
                                                struct careful *careful)
{
  enum { STEPS_MAX = CONFIG_DEPTH_MAX + 64, THERE = -1 };
  int steps = STEPS_MAX; /* to go */
  uintptr_t left = window->left;
  if (!careful->is_under_way) {
    arch_read_registers(careful->registers.values);
    careful->registers.known = ARCH_REGISTERS_READ;
    careful->is_under_way = true;
  }
  (void)stack_window_open(window, careful->registers.values[ARCH_DWARF_SP]);
  window->left = left;
  enum step stepped;
  do {
    steps = is_at(&careful->registers, frame) ? THERE : steps - 1;
    find_recipe(careful);
    stepped = step_carefully(window, careful);
  } while (steps > 0 && stepped == STEP_CALLER);
  if (steps != THERE)
    return STEP_LOST;
  if (stepped == STEP_CALLER)
    *frame = frame_of(&careful->registers);
  return stepped;
}

/* With sp and bp. */

static bool counts_from_bp(packed_rule rule)
{
  return rule_kind(rule) == RULE_BP || rule_kind(rule) == RULE_BP_DEREF || rule_bp(rule) == RULE_BP_AT_BP;
}

static SAMPLED NOINLINE enum step step_by(packed_rule rule, struct stack_window *window, struct frame *frame,
                                          uint32_t *flags)
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
  case RULE_KEPT_FRAME: *flags |= STACK_FRAME_POINTERS; return step_by_kept_frame(window, frame);
  case RULE_CAREFUL:
  case RULE_ABSENT: break;
  }
  return STEP_LOST;
}

enum step step_unusually(struct stack_window *window, struct frame *frame, struct careful *careful, uint32_t *flags)
{
  packed_rule rule = rule_of(frame->pc);
  bool is_bp_missing = frame->bp == FRAME_BP_LOST && counts_from_bp(rule);
  if (UNLIKELY(rule_kind(rule) == RULE_CAREFUL || is_bp_missing))
    return step_by_all_registers(window, frame, careful);
  return step_by(rule, window, frame, flags);
}
