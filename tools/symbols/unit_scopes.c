/* SPDX-License-Identifier: MIT */
#include "tools/symbols/unit_scopes.h"

#include "tools/symbols/sorted.h"

#include <dwarf.h>

/* No compiler makes deeper trees. */
enum { DEPTH_MAX = 500 };

struct walk {
  struct unit_scopes *found;
  const uint64_t *addresses;
  uint32_t count;
  uint64_t *starts; /* of the range of the function that each address lies in */
  bool enters_all;  /* also types and functions without any of the addresses */
};

static void walk_children(struct walk *walk, Dwarf_Die *parent, int32_t scope, unsigned depth);

/* Functions that the linker dropped lie at 0, over others: of two, the one that starts nearer is right. */
static bool mark_address(struct walk *walk, const struct unit_scope *scope, uint32_t address, uint64_t start)
{
  int32_t *innermost = &walk->found->innermost[address];
  bool fits =
      scope->is_inlined ? *innermost == scope->parent : *innermost == UNIT_SCOPE_NONE || start >= walk->starts[address];
  if (!fits)
    return false;
  *innermost = (int32_t)walk->found->scopes->len;
  if (!scope->is_inlined)
    walk->starts[address] = start;
  return true;
}

/* True if any address lies in the scope that is to be added. */
static bool mark_addresses(struct walk *walk, struct unit_scope *scope)
{
  Dwarf_Addr base, start, end;
  ptrdiff_t position = 0;
  bool is_hit = false;
  while ((position = dwarf_ranges(&scope->die, position, &base, &start, &end)) > 0)
    for (uint32_t i = sorted_lower_bound(walk->addresses, walk->count, start);
         i < walk->count && walk->addresses[i] < end; i++)
      is_hit |= mark_address(walk, scope, i, start);
  return is_hit;
}

static void visit_function(struct walk *walk, Dwarf_Die *die, int32_t parent, unsigned depth)
{
  struct unit_scope scope = {*die, parent, dwarf_tag(die) == DW_TAG_inlined_subroutine};
  int32_t index = (int32_t)walk->found->scopes->len;
  bool is_hit = mark_addresses(walk, &scope);
  if (is_hit)
    g_array_append_val(walk->found->scopes, scope);
  if (is_hit || walk->enters_all)
    walk_children(walk, die, is_hit ? index : parent, depth);
}

static void visit(struct walk *walk, Dwarf_Die *die, int32_t scope, unsigned depth)
{
  switch (dwarf_tag(die)) {
  case DW_TAG_subprogram:
  case DW_TAG_inlined_subroutine:
  case DW_TAG_entry_point: visit_function(walk, die, scope, depth); break;
  case DW_TAG_lexical_block:
  case DW_TAG_try_block:
  case DW_TAG_catch_block:
  case DW_TAG_with_stmt:
  case DW_TAG_common_block:
  case DW_TAG_namespace:
  case DW_TAG_module: walk_children(walk, die, scope, depth); break;
  default:
    if (walk->enters_all)
      walk_children(walk, die, scope, depth);
  }
}

static void walk_children(struct walk *walk, Dwarf_Die *parent, int32_t scope, unsigned depth)
{
  Dwarf_Die die;
  if (depth >= DEPTH_MAX || dwarf_child(parent, &die) != 0)
    return;
  for (;;) {
    visit(walk, &die, scope, depth + 1);
    Dwarf_Die next;
    if (dwarf_siblingof(&die, &next) != 0 || next.addr <= die.addr) /* a sibling that leads back never ends */
      return;
    die = next;
  }
}

static bool misses_any(const struct unit_scopes *found, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++)
    if (found->innermost[i] == UNIT_SCOPE_NONE)
      return true;
  return false;
}

static void walk_unit(struct walk *walk, Dwarf_Die *unit)
{
  g_array_set_size(walk->found->scopes, 0);
  for (uint32_t i = 0; i < walk->count; i++)
    walk->found->innermost[i] = UNIT_SCOPE_NONE;
  walk_children(walk, unit, UNIT_SCOPE_NONE, 0);
}

struct unit_scopes *unit_scopes_find(Dwarf_Die *unit, const uint64_t *addresses, uint32_t count)
{
  struct unit_scopes *found = g_new(struct unit_scopes, 1);
  found->scopes = g_array_new(FALSE, FALSE, sizeof(struct unit_scope));
  found->innermost = g_new(int32_t, count);
  struct walk walk = {found, addresses, count, g_new(uint64_t, count), false};
  walk_unit(&walk, unit);
  /* Functions inside types and local ones lie outside of what they are declared in. */
  walk.enters_all = misses_any(found, count);
  if (walk.enters_all)
    walk_unit(&walk, unit);
  g_free(walk.starts);
  return found;
}

void unit_scopes_free(struct unit_scopes *scopes)
{
  g_array_free(scopes->scopes, TRUE);
  g_free(scopes->innermost);
  g_free(scopes);
}
