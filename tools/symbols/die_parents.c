/* SPDX-License-Identifier: MIT */
#include "tools/symbols/die_parents.h"

#include <dwarf.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { NO_PARENT = -1, DEPTH_MAX = 500 };

struct container {
  Dwarf_Die die;
  const char *last; /* entry in it, by position in memory */
  int32_t parent;
};

struct die_parents {
  GHashTable *by_unit; /* Dwarf_CU -> GArray of struct container, in the order of their positions */
};

static void free_containers(gpointer containers)
{
  g_array_free(containers, TRUE);
}

struct die_parents *die_parents_new(void)
{
  struct die_parents *parents = g_new(struct die_parents, 1);
  parents->by_unit = g_hash_table_new_full(NULL, NULL, NULL, free_containers);
  return parents;
}

void die_parents_free(struct die_parents *parents)
{
  g_hash_table_destroy(parents->by_unit);
  g_free(parents);
}

static bool is_container(int tag)
{
  switch (tag) {
  case DW_TAG_namespace:
  case DW_TAG_module:
  case DW_TAG_class_type:
  case DW_TAG_structure_type:
  case DW_TAG_union_type:
  case DW_TAG_interface_type:
  case DW_TAG_enumeration_type:
  case DW_TAG_subprogram: return true;
  default: return false;
  }
}

/* Returns the last entry below `parent`, or itself. */
static const char *walk(GArray *containers, Dwarf_Die *parent, int32_t around, unsigned depth)
{
  Dwarf_Die die;
  const char *last = parent->addr;
  if (depth >= DEPTH_MAX || dwarf_child(parent, &die) != 0)
    return last;
  for (;;) {
    int32_t inside = around;
    bool is_new = dwarf_haschildren(&die) > 0 && is_container(dwarf_tag(&die));
    if (is_new) {
      struct container container = {die, NULL, around};
      inside = (int32_t)containers->len;
      g_array_append_val(containers, container);
    }
    last = walk(containers, &die, inside, depth + 1);
    if (is_new)
      g_array_index(containers, struct container, inside).last = last;
    Dwarf_Die next;
    if (dwarf_siblingof(&die, &next) != 0 || next.addr <= die.addr)
      return last;
    die = next;
  }
}

static GArray *containers_of(struct die_parents *parents, Dwarf_Die *die)
{
  GArray *containers = g_hash_table_lookup(parents->by_unit, die->cu);
  if (containers != NULL)
    return containers;
  containers = g_array_new(FALSE, FALSE, sizeof(struct container));
  Dwarf_Die unit;
  if (dwarf_diecu(die, &unit, NULL, NULL) != NULL)
    walk(containers, &unit, NO_PARENT, 0);
  g_hash_table_insert(parents->by_unit, die->cu, containers);
  return containers;
}

/* The last container that starts before `position`. */
static int32_t last_before(const GArray *containers, const char *position)
{
  uint32_t low = 0, high = containers->len;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if ((const char *)g_array_index(containers, struct container, middle).die.addr < position)
      low = middle + 1;
    else
      high = middle;
  }
  return (int32_t)low - 1;
}

int die_parents_get(struct die_parents *parents, Dwarf_Die *die, Dwarf_Die *around, int limit)
{
  const GArray *containers = containers_of(parents, die);
  const char *position = die->addr;
  int count = 0;
  for (int32_t i = last_before(containers, position); i >= 0 && count < limit;) {
    const struct container *container = &g_array_index(containers, struct container, i);
    if (container->last >= position)
      around[count++] = container->die;
    i = container->parent;
  }
  return count;
}
