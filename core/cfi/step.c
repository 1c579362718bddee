/* SPDX-License-Identifier: MIT */
#include "core/cfi/step.h"

#include "core/cfi/entries.h"
#include "core/cfi/expression.h"

/* What the step needs while it reads a row. */
struct stepping {
  struct reader *reader;
  const struct eh_frame_span *span;
  const struct cfi_registers *registers;
  struct stack_window *window;
  uintptr_t cfa;
  enum cfi_step failed; /* why, once something has */
};

static bool fail(struct stepping *on, enum cfi_step why)
{
  on->failed = why;
  return false;
}

static bool get(struct stepping *on, unsigned dwarf_register, uintptr_t *value)
{
  if (dwarf_register >= ARCH_DWARF_REGISTERS || (on->registers->known >> dwarf_register & 1) == 0)
    return fail(on, CFI_STEP_UNKNOWN);
  *value = on->registers->values[dwarf_register];
  return true;
}

static bool evaluate(struct stepping *on, int32_t block, unsigned depth, uintptr_t *number)
{
  struct expression_room *room = &on->reader->room;
  struct expression_scene scene = {.known = on->registers->known,
                                   .registers = on->registers->values,
                                   .pc = on->registers->values[ARCH_DWARF_PC],
                                   .window = on->window,
                                   .room = room};
  if (!expression_evaluate(entries_block(&on->reader->machine.row, block, on->span), &scene, depth) ||
      room->result.from != EXPRESSION_NUMBER)
    return fail(on, CFI_STEP_UNKNOWN);
  *number = room->result.offset;
  return true;
}

/* One that begins with the CFA. */
static bool evaluate_from_cfa(struct stepping *on, int32_t block, uintptr_t *number)
{
  struct expression_value cfa = {.offset = on->cfa, .from = EXPRESSION_NUMBER};
  return evaluate(on, block, expression_begin_with(&on->reader->room, cfa), number);
}

static bool find_cfa(struct stepping *on)
{
  const struct cfi_row *row = &on->reader->machine.row;
  if (row->cfa_register == CFI_CFA_EXPRESSION)
    return evaluate(on, row->cfa_value, 0, &on->cfa);
  if (!get(on, row->cfa_register, &on->cfa))
    return false;
  on->cfa += (uintptr_t)(intptr_t)row->cfa_value;
  return true;
}

static bool load(struct stepping *on, uintptr_t address, uintptr_t *value)
{
  return stack_window_read(on->window, address, value) || fail(on, CFI_STEP_UNREADABLE);
}

/* What a frame has kept no copy of. The caller's pc is then where the call left it. */
static bool get_kept(struct stepping *on, unsigned dwarf_register, uintptr_t *value)
{
  return get(on, dwarf_register == ARCH_DWARF_PC ? ARCH_DWARF_RETURN_ADDRESS : dwarf_register, value);
}

/* The caller's value of the register in a slot. */
static bool recover(struct stepping *on, unsigned slot, unsigned dwarf_register, uintptr_t *value)
{
  uint32_t rule = on->reader->machine.row.rules[slot];
  uintptr_t from_cfa = on->cfa + (uintptr_t)(intptr_t)cfi_rule_value(rule), address;
  switch (cfi_rule_how(rule)) {
  case CFI_SAME: *value = on->cfa; return dwarf_register == ARCH_DWARF_SP || get_kept(on, dwarf_register, value);
  case CFI_AT_CFA: return load(on, from_cfa, value);
  case CFI_IS_CFA: *value = from_cfa; return true;
  case CFI_IN_REGISTER: return get(on, (unsigned)cfi_rule_value(rule), value);
  case CFI_AT_EXPRESSION: return evaluate_from_cfa(on, cfi_rule_value(rule), &address) && load(on, address, value);
  case CFI_IS_EXPRESSION: return evaluate_from_cfa(on, cfi_rule_value(rule), value);
  case CFI_UNDEFINED: break;
  }
  return fail(on, CFI_STEP_UNKNOWN);
}

/* Registers that can't be told are lost to the caller; without sp and a return address there is no caller. */
static enum cfi_step apply(struct stepping *on, struct cfi_registers *registers)
{
  static const uint8_t numbers[ARCH_CFI_SLOTS] = ARCH_CFI_SLOT_REGISTERS;
  uint64_t known = 0;
  uintptr_t *values = on->reader->values;
  if (cfi_rule_how(on->reader->machine.row.rules[arch_cfi_slot(ARCH_DWARF_RETURN_ADDRESS)]) == CFI_UNDEFINED)
    return CFI_STEP_OUTERMOST;
  if (!find_cfa(on))
    return on->failed;
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++) {
    if (recover(on, slot, numbers[slot], &values[slot]))
      known |= 1ull << numbers[slot];
    else if (numbers[slot] == ARCH_DWARF_SP || numbers[slot] == ARCH_DWARF_PC)
      return on->failed;
  }
  registers->known = known;
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++)
    registers->values[numbers[slot]] = values[slot];
  uintptr_t return_address = arch_strip(registers->values[ARCH_DWARF_PC]);
  registers->is_interrupted = on->reader->machine.row.is_signal;
  registers->values[ARCH_DWARF_PC] = return_address - !registers->is_interrupted;
  return return_address != 0 ? CFI_STEP_CALLER : CFI_STEP_END;
}

static NOINLINE enum cfi_step step_by_row(struct reader *reader, const struct eh_frame_span *span,
                                          struct cfi_registers *registers, struct stack_window *window)
{
  struct stepping on = {
      .reader = reader, .span = span, .registers = registers, .window = window, .failed = CFI_STEP_UNKNOWN};
  return apply(&on, registers);
}

static enum cfi_step step(struct reader *reader, struct cfi_registers *registers, struct stack_window *window)
{
  struct eh_frame_span span;
  switch (entries_find_row(registers->values[ARCH_DWARF_PC], reader, &span)) {
  case ENTRIES_ROW: return step_by_row(reader, &span, registers, window);
  case ENTRIES_OUTERMOST: return CFI_STEP_OUTERMOST;
  default: return CFI_STEP_NO_ROW;
  }
}

enum cfi_step cfi_step(struct cfi_registers *registers, struct stack_window *window)
{
  struct reader *reader = readers_enter();
  if (reader == NULL)
    return CFI_STEP_NO_ROW;
  enum cfi_step stepped = step(reader, registers, window);
  readers_leave(reader);
  return stepped;
}

/* By a recipe. */

static bool is_known(const struct cfi_registers *registers, unsigned dwarf_register)
{
  return (registers->known >> dwarf_register & 1) != 0;
}

static unsigned base_of(const struct recipe *recipe)
{
  switch (rule_kind(recipe->rule)) {
  case RULE_SP:
  case RULE_SP_DEREF: return ARCH_DWARF_SP;
  case RULE_BP:
  case RULE_BP_DEREF: return ARCH_DWARF_BP;
  default: return recipe_register(recipe);
  }
}

static enum cfi_step cfa_by_recipe(const struct recipe *recipe, const struct cfi_registers *registers,
                                   struct stack_window *window, uintptr_t *cfa)
{
  enum rule_kind kind = rule_kind(recipe->rule);
  unsigned base = base_of(recipe);
  if (!is_known(registers, base))
    return CFI_STEP_UNKNOWN;
  *cfa = registers->values[base] + (uintptr_t)rule_cfa_offset(recipe->rule);
  if (kind != RULE_SP_DEREF && kind != RULE_BP_DEREF)
    return CFI_STEP_CALLER;
  if (!stack_window_read(window, *cfa, cfa))
    return CFI_STEP_UNREADABLE;
  *cfa += (uintptr_t)rule_addend(recipe->rule);
  return CFI_STEP_CALLER;
}

/* The caller's value, which may have to be lost. */
static ALWAYS_INLINE void recover_by(struct recipe_saved saved, unsigned dwarf_register, uintptr_t cfa, uintptr_t bp,
                                     struct cfi_registers *registers, struct stack_window *window)
{
  if (saved.way == RULE_BP_KEPT)
    return;
  uintptr_t at = (saved.way == RULE_BP_AT_CFA ? cfa : bp) + (uintptr_t)(intptr_t)saved.offset;
  bool is_found = saved.way != RULE_BP_LOST && stack_window_read(window, at, &registers->values[dwarf_register]);
  registers->known &= ~(1ull << dwarf_register);
  registers->known |= (uint64_t)is_found << dwarf_register;
}

enum cfi_step cfi_step_by_recipe(const struct recipe *recipe, struct cfi_registers *registers,
                                 struct stack_window *window)
{
  uintptr_t cfa, return_address;
  enum cfi_step found = cfa_by_recipe(recipe, registers, window, &cfa);
  if (found != CFI_STEP_CALLER)
    return found;
  if (!stack_window_read(window, cfa + (uintptr_t)rule_ra_offset(recipe->rule), &return_address))
    return CFI_STEP_UNREADABLE;
  /* Where bp is not known, no register is found by it: it is misaligned then. */
  uintptr_t bp = is_known(registers, ARCH_DWARF_BP) ? registers->values[ARCH_DWARF_BP] : 1;
  registers->known &= ARCH_REGISTERS_READ; /* which functions preserve */
  for (unsigned other = 0; other < RECIPE_OTHERS; other++)
    recover_by(recipe_saved(recipe, other), recipe_others[other], cfa, bp, registers, window);
  struct recipe_saved saved_bp = {rule_bp(recipe->rule), (int32_t)rule_bp_offset(recipe->rule)};
  recover_by(saved_bp, ARCH_DWARF_BP, cfa, bp, registers, window);
  registers->values[ARCH_DWARF_SP] = cfa;
  registers->values[ARCH_DWARF_PC] = arch_strip(return_address) - 1;
  registers->is_interrupted = false;
  return return_address != 0 ? CFI_STEP_CALLER : CFI_STEP_END;
}
