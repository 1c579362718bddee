/* SPDX-License-Identifier: MIT */
#include "core/cfi/cfi.h"

#include "core/arch/arch.h"
#include "core/cfi/entries.h"
#include "core/cfi/expression.h"
#include "core/region.h"

/* From a row to a rule, where it fits one. */

static uint32_t rule_of(const struct cfi_row *row, unsigned dwarf_register)
{
  return row->rules[arch_cfi_slot(dwarf_register)];
}

/* What a value counts from, as a kind of rule for the CFA; RULE_CAREFUL: nothing that the quick walk knows. */
static enum rule_kind kind_from(uint8_t from)
{
  switch (from) {
  case EXPRESSION_REGISTER + ARCH_DWARF_SP: return RULE_SP;
  case EXPRESSION_REGISTER + ARCH_DWARF_BP: return RULE_BP;
  default: return RULE_CAREFUL;
  }
}

static bool fits_int32(uint64_t offset)
{
  return (uint64_t)(int64_t)(int32_t)offset == offset;
}

/* What the expression at `block` comes to: reader->room.result. */
static bool fold(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span, int32_t block, unsigned depth)
{
  struct expression_scene scene = {.pc = pc, .room = &reader->room};
  return expression_evaluate(entries_block(&reader->machine.row, block, span), &scene, depth) &&
         fits_int32(reader->room.result.offset) && fits_int32(reader->room.loaded.offset);
}

/* CFA = an expression. */
static bool fold_cfa(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  const struct expression_room *room = &reader->room;
  struct frame_rule *rule = &reader->rule;
  if (!fold(pc, reader, span, reader->machine.row.cfa_value, 0))
    return false;
  if (room->result.from == EXPRESSION_LOADED) {
    enum rule_kind loaded = kind_from(room->loaded.from);
    rule->kind = loaded == RULE_SP ? RULE_SP_DEREF : RULE_BP_DEREF;
    rule->addend = (int32_t)room->result.offset;
    rule->cfa_offset = (int32_t)room->loaded.offset;
    return loaded != RULE_CAREFUL;
  }
  rule->kind = kind_from(room->result.from);
  rule->cfa_offset = (int32_t)room->result.offset;
  return rule->kind != RULE_CAREFUL;
}

/* bp is saved where an expression says. */
static bool fold_bp(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span, int32_t block)
{
  struct expression_room *room = &reader->room;
  struct expression_value cfa = {.from = EXPRESSION_CFA};
  if (!fold(pc, reader, span, block, expression_begin_with(room, cfa)))
    return false;
  reader->rule.bp = room->result.from == EXPRESSION_CFA ? RULE_BP_AT_CFA : RULE_BP_AT_BP;
  reader->rule.bp_offset = (int32_t)room->result.offset;
  return room->result.from == EXPRESSION_CFA || room->result.from == EXPRESSION_REGISTER + ARCH_DWARF_BP;
}

static bool read_cfa(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  const struct cfi_row *row = &reader->machine.row;
  if (row->cfa_register == CFI_CFA_EXPRESSION)
    return fold_cfa(pc, reader, span);
  reader->rule.kind = kind_from((uint8_t)(EXPRESSION_REGISTER + row->cfa_register));
  reader->rule.cfa_offset = row->cfa_value;
  return reader->rule.kind != RULE_CAREFUL;
}

static bool read_bp(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  uint32_t saved = rule_of(&reader->machine.row, ARCH_DWARF_BP);
  switch (cfi_rule_how(saved)) {
  case CFI_SAME: reader->rule.bp = RULE_BP_KEPT; return true;
  case CFI_UNDEFINED: reader->rule.bp = RULE_BP_LOST; return true;
  case CFI_AT_CFA:
    reader->rule.bp = RULE_BP_AT_CFA;
    reader->rule.bp_offset = cfi_rule_value(saved);
    return true;
  case CFI_AT_EXPRESSION: return fold_bp(pc, reader, span, cfi_rule_value(saved));
  default: return false;
  }
}

static NOINLINE packed_rule rule_from_row(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  const struct cfi_row *row = &reader->machine.row;
  uint32_t return_address = rule_of(row, ARCH_DWARF_RETURN_ADDRESS);
  if (cfi_rule_how(return_address) == CFI_UNDEFINED)
    return RULE_OUTERMOST;
  reader->rule = (struct frame_rule){.kind = RULE_CAREFUL, .ra_offset = cfi_rule_value(return_address)};
  bool fits = !row->is_signal && cfi_rule_how(return_address) == CFI_AT_CFA &&
              cfi_rule_how(rule_of(row, ARCH_DWARF_SP)) == CFI_SAME && read_cfa(pc, reader, span) &&
              read_bp(pc, reader, span);
  return fits ? rule_pack(reader->rule) : RULE_CAREFUL;
}

static packed_rule compile(uintptr_t pc, struct reader *reader)
{
  struct eh_frame_span span;
  switch (entries_find_row(pc, reader, &span)) {
  case ENTRIES_ROW: return rule_from_row(pc, reader, &span);
  case ENTRIES_SIGNAL: return RULE_SIGNAL;
  case ENTRIES_OUTERMOST: return RULE_OUTERMOST;
  case ENTRIES_KEPT_FRAME: return RULE_KEPT_FRAME;
  case ENTRIES_BROKEN: return RULE_CAREFUL;
  case ENTRIES_BUSY: return RULE_ABSENT;
  case ENTRIES_NONE: break;
  }
  return RULE_FRAME_POINTER;
}

packed_rule cfi_compile(uintptr_t pc)
{
  uint64_t generation = atomic_load_explicit(&rule_generation, memory_order_acquire /* pairs with modules.c */);
  struct reader *reader = readers_enter();
  packed_rule rule = RULE_ABSENT;
  if (LIKELY(reader != NULL)) {
    rule = compile(pc, reader);
    if (rule != RULE_ABSENT && atomic_load_explicit(&rule_generation, memory_order_acquire) == generation)
      rule_cache_put(pc, rule);
    readers_leave(reader);
  }
  if (UNLIKELY(rule == RULE_ABSENT))
    region_lose(LOSS_compile_busy);
  return rule;
}
