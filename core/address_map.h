/* SPDX-License-Identifier: MIT */
/* Which address stacks hold for a pc. Nearly always the pc itself; another one where the records of the region would
 * give it to a file that no longer lies there (modules.h).
 *
 * Threads, signals: looked up anywhere, without a lock: a new map is built beside the one in force, and a reader that
 * was overtaken by two builds looks again. Built by one thread at a time, under modules_lock. Memory: mapped when the
 * first file is unloaded. Fork: copied on write, one half built is not in force.
 */
#ifndef HEAPPROF_ADDRESS_MAP_H
#define HEAPPROF_ADDRESS_MAP_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ADDRESS_MAP_MAX = 4096, ADDRESS_MAP_GRANULE_BITS = 16 };

/* Added to the pcs of code that is of no known file, where the file of an old record lay. No process has memory there.
 */
#define ADDRESS_MAP_NOBODY (1ull << 61)

/* What the map speaks of lies in these granules: the first one, and the one behind the last in the upper half. 0:
 * nothing. */
extern HIDDEN _Atomic uint64_t address_map_span;

uint64_t address_map_look_up(uintptr_t pc);

static ALWAYS_INLINE uint64_t address_map_get(uintptr_t pc)
{
  uint64_t span = atomic_load_explicit(&address_map_span, memory_order_relaxed);
  if (LIKELY(span == 0))
    return pc;
  uint64_t granule = pc >> ADDRESS_MAP_GRANULE_BITS;
  return granule < (uint32_t)span || granule >= span >> 32 ? pc : address_map_look_up(pc);
}

/* Does it speak of anything? */
static inline bool address_map_is_in_use(void)
{
  return atomic_load_explicit(&address_map_span, memory_order_relaxed) != 0;
}

/* A new map: loaded files and past places, each in ascending order, at most ADDRESS_MAP_MAX of them. A loaded file goes
 * before a past place, a past place before the past span. Until address_map_end nobody sees it. False: there is no
 * memory; all pcs are nobody's from now on. */
bool address_map_begin(void);
void address_map_add_loaded(uintptr_t low, uintptr_t high, uint64_t shift);
void address_map_add_past(uintptr_t low, uintptr_t high);
void address_map_set_past_span(uintptr_t low, uintptr_t high);
void address_map_end(void);

#endif
