/* SPDX-License-Identifier: MIT */
/* Which compilation unit each address belongs to, by the ranges of the units themselves: .debug_aranges, where libdw
 * looks, is often missing. */
#ifndef HEAPPROF_UNIT_RANGES_H
#define HEAPPROF_UNIT_RANGES_H

#include <elfutils/libdw.h>
#include <glib.h>
#include <stdint.h>

struct unit {
  Dwarf_Die die;
  GArray *addresses; /* uint64_t, sorted */
};

/* Units with addresses, struct unit; free it with unit_ranges_free. Units that do not tell their ranges get all
 * addresses that no other claims. */
GArray *unit_ranges_find(Dwarf *dwarf, const uint64_t *addresses, uint32_t count);
void unit_ranges_free(GArray *units);

#endif
