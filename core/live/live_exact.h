/* SPDX-License-Identifier: MIT */
/* The live table of exact mode: entries as words (live_word.h), on shelves (live_shelves.h). What the functions do,
 * live.h says, which alone calls them.
 *
 * Both filters let through for good what was ever there: on each page nearly all objects are samples.
 *
 * Threads, signals, memory, fork: as live_shelves.h.
 */
#ifndef HEAPPROF_LIVE_EXACT_H
#define HEAPPROF_LIVE_EXACT_H

#include "core/compiler.h"
#include "core/live/live_entry.h"

#include <stdbool.h>
#include <stdint.h>

SAMPLED_EXACT bool live_exact_add(const void *pointer, struct live_entry entry);
SAMPLED_EXACT bool live_exact_remove(const void *pointer, struct live_entry *entry);

/* The same, but the entry is in a node then, which says what adoption visited it. 0: there is none. */
enum { LIVE_EXACT_NO_NODE = 1u << LIVE_NODE_BITS }; /* there was one, but no memory */
uint32_t live_exact_remove_to_node(const void *pointer);

/* `number`: of the adoption. */
void live_exact_adopt_each(live_visitor *visit, unsigned number);
uint64_t live_exact_count(void);

#endif
