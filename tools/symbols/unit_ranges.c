/* SPDX-License-Identifier: MIT */
#include "tools/symbols/unit_ranges.h"

#include "tools/symbols/sorted.h"

#include <dwarf.h>

enum { NO_UNIT = -1 };

struct claim {
  int32_t unit;
  uint64_t start; /* of the range */
};

struct search {
  const uint64_t *addresses;
  uint32_t count;
  struct claim *claims;
  GArray *units;
};

/* Of two units that claim an address the one whose range starts nearer is right: what the linker dropped starts at
 * 0. */
static void claim(struct search *search, int32_t unit, uint64_t start, uint64_t end)
{
  for (uint32_t i = sorted_lower_bound(search->addresses, search->count, start);
       i < search->count && search->addresses[i] < end; i++)
    if (search->claims[i].unit == NO_UNIT || start > search->claims[i].start)
      search->claims[i] = (struct claim){unit, start};
}

/* False: it has none. */
static bool claim_ranges(struct search *search, int32_t unit, Dwarf_Die *die)
{
  Dwarf_Addr base, start, end;
  ptrdiff_t position = 0;
  bool has_ranges = false;
  while ((position = dwarf_ranges(die, position, &base, &start, &end)) > 0) {
    has_ranges = true;
    claim(search, unit, start, end);
  }
  return has_ranges;
}

static void add_address(struct search *search, uint32_t unit, uint64_t address)
{
  struct unit *claimed = &g_array_index(search->units, struct unit, unit);
  if (claimed->addresses == NULL)
    claimed->addresses = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  g_array_append_val(claimed->addresses, address);
}

/* `unranged`: uint32_t, units. */
static void distribute(struct search *search, const GArray *unranged)
{
  for (uint32_t i = 0; i < search->count; i++) {
    if (search->claims[i].unit != NO_UNIT)
      add_address(search, (uint32_t)search->claims[i].unit, search->addresses[i]);
    else
      for (uint32_t k = 0; k < unranged->len; k++)
        add_address(search, g_array_index(unranged, uint32_t, k), search->addresses[i]);
  }
}

static void remove_empty(GArray *units)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < units->len; i++) {
    struct unit *unit = &g_array_index(units, struct unit, i);
    if (unit->addresses != NULL)
      g_array_index(units, struct unit, kept++) = *unit;
  }
  g_array_set_size(units, kept);
}

GArray *unit_ranges_find(Dwarf *dwarf, const uint64_t *addresses, uint32_t count)
{
  struct search search = {addresses, count, g_new(struct claim, count), g_array_new(FALSE, FALSE, sizeof(struct unit))};
  g_autoptr(GArray) unranged = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  for (uint32_t i = 0; i < count; i++)
    search.claims[i] = (struct claim){NO_UNIT, 0};
  Dwarf_CU *cu = NULL;
  struct unit unit = {.addresses = NULL};
  uint8_t type;
  while (search.units->len < INT32_MAX && dwarf_get_units(dwarf, cu, &cu, NULL, &type, &unit.die, NULL) == 0) {
    if (type != DW_UT_compile && type != DW_UT_skeleton)
      continue;
    uint32_t index = search.units->len;
    g_array_append_val(search.units, unit);
    if (!claim_ranges(&search, (int32_t)index, &unit.die) && type == DW_UT_compile)
      g_array_append_val(unranged, index);
  }
  distribute(&search, unranged);
  g_free(search.claims);
  remove_empty(search.units);
  return search.units;
}

void unit_ranges_free(GArray *units)
{
  for (uint32_t i = 0; i < units->len; i++)
    g_array_free(g_array_index(units, struct unit, i).addresses, TRUE);
  g_array_free(units, TRUE);
}
