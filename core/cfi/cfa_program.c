/* SPDX-License-Identifier: MIT */
#include "core/cfi/cfa_program.h"

/* DW_CFA_*. The first three hold an operand in their lower six bits. */
enum operation {
  ADVANCE = 0x40,
  OFFSET = 0x80,
  RESTORE = 0xc0,
  NOP = 0x00,
  SET_LOCATION,
  ADVANCE_1,
  ADVANCE_2,
  ADVANCE_4,
  OFFSET_EXTENDED,
  RESTORE_EXTENDED,
  UNDEFINED,
  SAME_VALUE,
  REGISTER,
  REMEMBER_STATE,
  RESTORE_STATE,
  DEFINE_CFA,
  DEFINE_CFA_REGISTER,
  DEFINE_CFA_OFFSET,
  DEFINE_CFA_EXPRESSION,
  EXPRESSION,
  OFFSET_EXTENDED_SIGNED,
  DEFINE_CFA_SIGNED,
  DEFINE_CFA_OFFSET_SIGNED,
  VALUE_OFFSET,
  VALUE_OFFSET_SIGNED,
  VALUE_EXPRESSION,
  MIPS_ADVANCE_8 = 0x1d,
  NEGATE_SIGNED_WITH_PC = 0x2c,
  NEGATE_SIGNED = 0x2d, /* register windows, on machines that have them */
  ARGUMENTS_SIZE = 0x2e,
  NEGATIVE_OFFSET_EXTENDED = 0x2f,
};
enum { PRIMARY_MASK = 0xc0, OPERAND_MASK = 0x3f };

/* Instructions that only move on. */

static bool is_advance(uint8_t operation)
{
  return (operation & PRIMARY_MASK) == ADVANCE || (operation >= SET_LOCATION && operation <= ADVANCE_4) ||
         operation == MIPS_ADVANCE_8;
}

static NOINLINE uintptr_t set_location(const struct eh_frame_entry *entry, struct bytes *program)
{
  struct pointer_bases bases = {.function = entry->pc_low};
  return bytes_pointer(program, entry->encoding, &bases, 0, 0);
}

static uintptr_t advanced(const struct cfa_machine *machine, uint8_t operation, struct bytes *program)
{
  const struct eh_frame_entry *entry = &machine->entry;
  uint64_t units;
  switch (operation) {
  case SET_LOCATION: return set_location(entry, program);
  case ADVANCE_1: units = bytes_u8(program); break;
  case ADVANCE_2: units = bytes_u16(program); break;
  case ADVANCE_4: units = bytes_u32(program); break;
  case MIPS_ADVANCE_8: units = bytes_u64(program); break;
  default: units = operation & OPERAND_MASK; break;
  }
  return machine->location + units * entry->code_alignment;
}

static void skip_block(struct bytes *program)
{
  (void)bytes_take(program, bytes_uleb(program));
}

/* The operands of an instruction that is not executed. */
static void skip_operands(uint8_t operation, struct bytes *program)
{
  switch ((operation & PRIMARY_MASK) != 0 ? operation & PRIMARY_MASK : operation) {
  case OFFSET_EXTENDED:
  case REGISTER:
  case DEFINE_CFA:
  case VALUE_OFFSET:
  case NEGATIVE_OFFSET_EXTENDED:
  case OFFSET_EXTENDED_SIGNED:
  case DEFINE_CFA_SIGNED:
  case VALUE_OFFSET_SIGNED: (void)bytes_uleb(program); /* fall through */
  case OFFSET:
  case RESTORE_EXTENDED:
  case UNDEFINED:
  case SAME_VALUE:
  case DEFINE_CFA_REGISTER:
  case DEFINE_CFA_OFFSET:
  case DEFINE_CFA_OFFSET_SIGNED:
  case ARGUMENTS_SIZE: (void)bytes_uleb(program); break;
  case EXPRESSION:
  case VALUE_EXPRESSION: (void)bytes_uleb(program); /* fall through */
  case DEFINE_CFA_EXPRESSION: skip_block(program); break;
  case NOP:
  case RESTORE:
  case NEGATE_SIGNED:
  case NEGATE_SIGNED_WITH_PC: break;
  default: bytes_spoil(program);
  }
}

/* A state was just remembered. If it is restored at `pc` or before, moves behind that: nothing in between matters. */
static ALWAYS_INLINE void skip_to_restored(struct cfa_machine *machine, struct bytes *program, uintptr_t pc)
{
  struct bytes ahead = *program;
  uintptr_t location = machine->location;
  unsigned depth = 1;
  while (depth > 0 && ahead.at < ahead.end && machine->location <= pc && machine->steps++ < CFA_PROGRAM_STEPS_MAX) {
    uint8_t operation = bytes_u8(&ahead);
    if (is_advance(operation))
      machine->location = advanced(machine, operation, &ahead);
    else if (operation == REMEMBER_STATE)
      depth++;
    else if (operation == RESTORE_STATE)
      depth--;
    else
      skip_operands(operation, &ahead);
  }
  if (depth == 0 && bytes_are_good(&ahead))
    *program = ahead;
  else
    machine->location = location;
}

/* Instructions that change the row. */

/* The value of a rule; one that does not fit spoils the program. */
static int32_t value_of(struct bytes *program, int64_t value)
{
  int64_t limit = (int64_t)1 << (CFI_VALUE_BITS - 1);
  if (UNLIKELY(value < -limit || value >= limit)) {
    bytes_spoil(program);
    return 0;
  }
  return (int32_t)value;
}

static unsigned slot_of(const struct cfa_machine *machine, uint64_t column)
{
  return column == machine->entry.return_address ? arch_cfi_slot(ARCH_DWARF_RETURN_ADDRESS) : arch_cfi_slot(column);
}

static void set_rule(struct cfa_machine *machine, uint64_t column, enum cfi_how how, int32_t value)
{
  unsigned slot = slot_of(machine, column);
  if (slot < ARCH_CFI_SLOTS)
    machine->row.rules[slot] = cfi_rule(how, value);
}

/* Offsets are unsigned or signed LEB128, in units of the data alignment. */
static int32_t factored(const struct cfa_machine *machine, struct bytes *program, int64_t offset)
{
  return value_of(program, (int64_t)value_of(program, offset) * machine->entry.data_alignment);
}

static int32_t block_at(const struct cfa_machine *machine, struct bytes *program)
{
  int32_t value = value_of(program, (int64_t)(program->at - machine->entry.at));
  skip_block(program);
  return value;
}

static void restore(struct cfa_machine *machine, uint64_t column)
{
  unsigned slot = slot_of(machine, column);
  if (slot < ARCH_CFI_SLOTS)
    machine->row.rules[slot] = machine->initial[slot];
}

static void set_in_register(struct cfa_machine *machine, uint64_t column, uint64_t other)
{
  if (other == column && column != ARCH_DWARF_SP)
    set_rule(machine, column, CFI_SAME, 0);
  else if (other < ARCH_DWARF_REGISTERS)
    set_rule(machine, column, CFI_IN_REGISTER, (int32_t)other);
  else
    set_rule(machine, column, CFI_UNDEFINED, 0);
}

static void set_cfa_register(struct cfa_machine *machine, struct bytes *program, uint64_t column)
{
  if (column >= ARCH_DWARF_REGISTERS) {
    bytes_spoil(program);
    return;
  }
  machine->row.cfa_register = (uint8_t)column;
  machine->row.cfa_value = machine->cfa_offset;
}

/* While the CFA is an expression, the offset is for later. */
static void set_cfa_offset(struct cfa_machine *machine, struct bytes *program, int64_t offset)
{
  machine->cfa_offset = value_of(program, offset);
  if (machine->row.cfa_register != CFI_CFA_EXPRESSION)
    machine->row.cfa_value = machine->cfa_offset;
}

/* DEFINE_CFA_*. */
static void define_cfa(struct cfa_machine *machine, uint8_t operation, struct bytes *program)
{
  bool has_register = operation == DEFINE_CFA || operation == DEFINE_CFA_SIGNED || operation == DEFINE_CFA_REGISTER;
  uint64_t column = has_register ? bytes_uleb(program) : 0;
  switch (operation) {
  case DEFINE_CFA:
  case DEFINE_CFA_OFFSET: set_cfa_offset(machine, program, (int64_t)bytes_uleb(program)); break;
  case DEFINE_CFA_SIGNED:
  case DEFINE_CFA_OFFSET_SIGNED:
    set_cfa_offset(machine, program, factored(machine, program, bytes_sleb(program)));
    break;
  case DEFINE_CFA_REGISTER: break;
  default: machine->row.cfa_register = CFI_CFA_EXPRESSION; machine->row.cfa_value = block_at(machine, program);
  }
  if (has_register)
    set_cfa_register(machine, program, column);
}

/* Those whose first operand is a register. */
static void execute_for_register(struct cfa_machine *machine, uint8_t operation, struct bytes *program)
{
  uint64_t column = bytes_uleb(program);
  switch (operation) {
  case OFFSET_EXTENDED:
    set_rule(machine, column, CFI_AT_CFA, factored(machine, program, (int64_t)bytes_uleb(program)));
    break;
  case OFFSET_EXTENDED_SIGNED:
    set_rule(machine, column, CFI_AT_CFA, factored(machine, program, bytes_sleb(program)));
    break;
  case NEGATIVE_OFFSET_EXTENDED:
    set_rule(machine, column, CFI_AT_CFA, factored(machine, program, -value_of(program, (int64_t)bytes_uleb(program))));
    break;
  case VALUE_OFFSET:
    set_rule(machine, column, CFI_IS_CFA, factored(machine, program, (int64_t)bytes_uleb(program)));
    break;
  case VALUE_OFFSET_SIGNED:
    set_rule(machine, column, CFI_IS_CFA, factored(machine, program, bytes_sleb(program)));
    break;
  case UNDEFINED: set_rule(machine, column, CFI_UNDEFINED, 0); break;
  case SAME_VALUE: set_in_register(machine, column, column); break;
  case REGISTER: set_in_register(machine, column, bytes_uleb(program)); break;
  case RESTORE_EXTENDED: restore(machine, column); break;
  case EXPRESSION: set_rule(machine, column, CFI_AT_EXPRESSION, block_at(machine, program)); break;
  case VALUE_EXPRESSION: set_rule(machine, column, CFI_IS_EXPRESSION, block_at(machine, program)); break;
  default: bytes_spoil(program);
  }
}

static void execute(struct cfa_machine *machine, uint8_t operation, struct bytes *program)
{
  uint64_t column = operation & OPERAND_MASK;
  switch (operation & PRIMARY_MASK) {
  case OFFSET: set_rule(machine, column, CFI_AT_CFA, factored(machine, program, (int64_t)bytes_uleb(program))); return;
  case RESTORE: restore(machine, column); return;
  }
  switch (operation) {
  case NOP: return;
  case DEFINE_CFA:
  case DEFINE_CFA_SIGNED:
  case DEFINE_CFA_REGISTER:
  case DEFINE_CFA_OFFSET:
  case DEFINE_CFA_OFFSET_SIGNED:
  case DEFINE_CFA_EXPRESSION: define_cfa(machine, operation, program); return;
  case NEGATE_SIGNED:
  case NEGATE_SIGNED_WITH_PC: machine->row.is_signed = !machine->row.is_signed; return;
  case ARGUMENTS_SIZE: (void)bytes_uleb(program); return;
  default: execute_for_register(machine, operation, program);
  }
}

bool cfa_machine_run(struct cfa_machine *machine, struct bytes program, uintptr_t pc)
{
  while (program.at < program.end) {
    uint8_t operation = bytes_u8(&program);
    if (machine->steps++ >= CFA_PROGRAM_STEPS_MAX)
      return false;
    if (is_advance(operation)) {
      uintptr_t location = advanced(machine, operation, &program);
      if (location > pc)
        return bytes_are_good(&program);
      machine->location = location;
    } else if (operation == REMEMBER_STATE) {
      skip_to_restored(machine, &program, pc);
    } else {
      execute(machine, operation, &program);
    }
  }
  return bytes_are_good(&program);
}

void cfa_machine_start(struct cfa_machine *machine)
{
  const struct eh_frame_entry *entry = &machine->entry;
  machine->row = (struct cfi_row){.base = entry->at, .cfa_register = CFI_CFA_UNDEFINED, .is_signal = entry->is_signal};
  __builtin_memset(machine->initial, 0, sizeof machine->initial);
  machine->location = entry->pc_low;
  machine->steps = 0;
  machine->cfa_offset = 0;
}

void cfa_machine_go_on(struct cfa_machine *machine)
{
  __builtin_memcpy(machine->initial, machine->row.rules, sizeof machine->initial);
  machine->location = machine->entry.pc_low;
}
