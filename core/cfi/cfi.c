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

/* A row that is read. The scene is one for all of its expressions: that keeps the stack small. */
struct reading {
  struct reader *reader;
  const struct eh_frame_span *span;
  struct expression_scene scene;
};

static ALWAYS_INLINE struct reading begin_reading(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  return (struct reading){.reader = reader, .span = span, .scene = {.pc = pc, .room = &reader->room}};
}

/* What the expression at `block` comes to: on->reader->room.result. */
static ALWAYS_INLINE bool fold(const struct reading *on, int32_t block, unsigned depth)
{
  return expression_evaluate(entries_block(&on->reader->machine.row, block, on->span), &on->scene, depth) &&
         fits_int32(on->reader->room.result.offset) && fits_int32(on->reader->room.loaded.offset);
}

/* CFA = an expression. */
static ALWAYS_INLINE bool fold_cfa(const struct reading *on)
{
  const struct expression_room *room = &on->reader->room;
  struct frame_rule *rule = &on->reader->rule;
  if (!fold(on, on->reader->machine.row.cfa_value, 0))
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

/* A register is saved where an expression says: on->reader->saved. */
static ALWAYS_INLINE bool fold_saved(const struct reading *on, int32_t block)
{
  struct recipe_saved *saved = &on->reader->saved;
  struct expression_room *room = &on->reader->room;
  struct expression_value cfa = {.from = EXPRESSION_CFA};
  if (!fold(on, block, expression_begin_with(room, cfa)))
    return false;
  saved->way = room->result.from == EXPRESSION_CFA ? RULE_BP_AT_CFA : RULE_BP_AT_BP;
  saved->offset = (int32_t)room->result.offset;
  return room->result.from == EXPRESSION_CFA || room->result.from == EXPRESSION_REGISTER + ARCH_DWARF_BP;
}

static ALWAYS_INLINE bool read_cfa(const struct reading *on)
{
  const struct cfi_row *row = &on->reader->machine.row;
  if (row->cfa_register == CFI_CFA_EXPRESSION)
    return fold_cfa(on);
  on->reader->rule.kind = kind_from((uint8_t)(EXPRESSION_REGISTER + row->cfa_register));
  on->reader->rule.cfa_offset = row->cfa_value;
  return on->reader->rule.kind != RULE_CAREFUL;
}

static ALWAYS_INLINE bool read_saved(const struct reading *on, unsigned dwarf_register)
{
  struct recipe_saved *saved = &on->reader->saved;
  uint32_t rule = rule_of(&on->reader->machine.row, dwarf_register);
  *saved = (struct recipe_saved){.way = RULE_BP_KEPT};
  switch (cfi_rule_how(rule)) {
  case CFI_SAME: return true;
  case CFI_UNDEFINED: saved->way = RULE_BP_LOST; return true;
  case CFI_AT_CFA: *saved = (struct recipe_saved){RULE_BP_AT_CFA, cfi_rule_value(rule)}; return true;
  case CFI_AT_EXPRESSION: return fold_saved(on, cfi_rule_value(rule));
  default: return false;
  }
}

/* Is the caller's sp the CFA, its pc at an offset from there, and where is its bp? */
static ALWAYS_INLINE bool read_frame(const struct reading *on)
{
  const struct cfi_row *row = &on->reader->machine.row;
  uint32_t return_address = rule_of(row, ARCH_DWARF_RETURN_ADDRESS);
  if (row->is_signal || cfi_rule_how(return_address) != CFI_AT_CFA ||
      cfi_rule_how(rule_of(row, ARCH_DWARF_SP)) != CFI_SAME || !read_saved(on, ARCH_DWARF_BP))
    return false;
  on->reader->rule = (struct frame_rule){.kind = RULE_CAREFUL,
                                         .ra_offset = cfi_rule_value(return_address),
                                         .bp = on->reader->saved.way,
                                         .bp_offset = on->reader->saved.offset};
  return true;
}

static bool is_outermost(const struct reader *reader)
{
  return cfi_rule_how(rule_of(&reader->machine.row, ARCH_DWARF_RETURN_ADDRESS)) == CFI_UNDEFINED;
}

/* Of another row than that of an outermost frame: reader->rule, with kind RULE_CAREFUL where only the CFA is not what
 * rules can say. False: more is. */
static NOINLINE bool read_rule(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  struct reading on = begin_reading(pc, reader, span);
  bool has_frame = read_frame(&on);
  if (!has_frame || !read_cfa(&on))
    reader->rule.kind = RULE_CAREFUL;
  return has_frame;
}

static packed_rule rule_from_row(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  if (is_outermost(reader))
    return RULE_OUTERMOST;
  bool fits = read_rule(pc, reader, span) && reader->rule.kind != RULE_CAREFUL;
  return fits ? rule_pack(reader->rule) : RULE_CAREFUL;
}

static packed_rule rule_without_row(enum entries_found found)
{
  switch (found) {
  case ENTRIES_SIGNAL: return RULE_SIGNAL;
  case ENTRIES_OUTERMOST: return RULE_OUTERMOST;
  case ENTRIES_KEPT_FRAME: return RULE_KEPT_FRAME;
  case ENTRIES_BUSY: return RULE_ABSENT;
  case ENTRIES_NONE: return RULE_FRAME_POINTER;
  case ENTRIES_ROW:
  case ENTRIES_BROKEN: break;
  }
  return RULE_CAREFUL;
}

static packed_rule compile(uintptr_t pc, struct reader *reader)
{
  struct eh_frame_span span;
  enum entries_found found = entries_find_row(pc, reader, &span);
  return found == ENTRIES_ROW ? rule_from_row(pc, reader, &span) : rule_without_row(found);
}

/* Of something that is not noted, or that was unloaded meanwhile, nothing is. */
static bool is_to_keep(const struct reader *reader, uint64_t generation)
{
  return !reader->is_of_one_use && atomic_load_explicit(&rule_generation, memory_order_acquire) == generation;
}

packed_rule cfi_compile(uintptr_t pc)
{
  uint64_t generation = atomic_load_explicit(&rule_generation, memory_order_acquire /* pairs with modules.c */);
  struct reader *reader = readers_enter();
  packed_rule rule = RULE_ABSENT;
  if (LIKELY(reader != NULL)) {
    rule = compile(pc, reader);
    if (rule != RULE_ABSENT && is_to_keep(reader, generation))
      rule_cache_put(pc, rule);
    readers_leave(reader);
  }
  if (UNLIKELY(rule == RULE_ABSENT))
    region_lose(LOSS_compile_busy);
  return rule;
}

/* To a recipe. */

static const struct recipe nothing_said = {.rule = RULE_CAREFUL,
                                           .saved = {(uint64_t)RECIPE_NO_REGISTER << RECIPE_REGISTER_SHIFT}};

static NOINLINE void add_others(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  struct reading on = begin_reading(pc, reader, span);
  for (unsigned other = 0; other < RECIPE_OTHERS; other++)
    if (!read_saved(&on, recipe_others[other]) || !recipe_set_saved(&reader->recipe, other, reader->saved)) {
      reader->recipe = nothing_said;
      break;
    }
}

/* The rule has been read. */
static NOINLINE void finish_recipe(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  bool is_careful = reader->rule.kind == RULE_CAREFUL;
  unsigned cfa_register = reader->machine.row.cfa_register;
  packed_rule rule = rule_pack(reader->rule);
  if (rule == RULE_CAREFUL || (is_careful && cfa_register >= ARCH_DWARF_REGISTERS))
    return;
  reader->recipe = (struct recipe){.rule = rule};
  if (is_careful)
    recipe_set_register(&reader->recipe, cfa_register);
  add_others(pc, reader, span);
}

static void recipe_from_row(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span)
{
  reader->recipe = nothing_said;
  if (is_outermost(reader))
    reader->recipe = (struct recipe){.rule = RULE_OUTERMOST};
  else if (read_rule(pc, reader, span))
    finish_recipe(pc, reader, span);
}

static void compile_recipe(uintptr_t pc, struct reader *reader)
{
  struct eh_frame_span span;
  enum entries_found found = entries_find_row(pc, reader, &span);
  if (found == ENTRIES_ROW)
    recipe_from_row(pc, reader, &span);
  else
    reader->recipe = found == ENTRIES_BROKEN ? nothing_said : (struct recipe){.rule = rule_without_row(found)};
}

void cfi_compile_recipe(uintptr_t pc, struct recipe *recipe)
{
  uint64_t generation = atomic_load_explicit(&rule_generation, memory_order_acquire /* pairs with modules.c */);
  struct reader *reader = readers_enter();
  *recipe = (struct recipe){.rule = RULE_ABSENT};
  if (LIKELY(reader != NULL)) {
    compile_recipe(pc, reader);
    *recipe = reader->recipe;
    if (recipe->rule != RULE_ABSENT && is_to_keep(reader, generation))
      recipes_put(pc, recipe);
    readers_leave(reader);
  }
  if (UNLIKELY(recipe->rule == RULE_ABSENT))
    region_lose(LOSS_compile_busy);
}

bool cfi_find_function(uintptr_t pc, struct address_range *function)
{
  struct reader *reader = readers_enter();
  bool is_found = reader != NULL && entries_find_function(pc, reader, function);
  if (reader != NULL)
    readers_leave(reader);
  return is_found;
}
