/* SPDX-License-Identifier: MIT */
/* What an entry of debug information stands in: DWARF leads downwards only. A unit is walked once, when it is first
 * asked about. */
#ifndef HEAPPROF_DIE_PARENTS_H
#define HEAPPROF_DIE_PARENTS_H

#include <elfutils/libdw.h>

struct die_parents;

struct die_parents *die_parents_new(void);
void die_parents_free(struct die_parents *parents);

/* The namespaces, types and functions around `die`, from the inside out, at most `limit`; returns how many. */
int die_parents_get(struct die_parents *parents, Dwarf_Die *die, Dwarf_Die *around, int limit);

#endif
