/* SPDX-License-Identifier: MIT */
/* The list of mapped files at the end of a text profile: the lines of /proc/PID/maps, or shorter ones
 * ("400000-4fb000: $source/server (@1000)", with a line "source=/srv" before). Only what may hold code is kept.
 *
 * Memory: texts are the heap's. Failure: none; a line that is none of these is passed over, as other readers do.
 */
#ifndef HEAPPROF_LEGACY_MAPS_H
#define HEAPPROF_LEGACY_MAPS_H

#include "tools/heap/heap.h"
#include "tools/heap/legacy_text.h"

/* Is it the line that the list follows? */
bool legacy_maps_begin(const struct legacy_line *line);

/* All lines to the end of the text become mappings of the heap, which has none yet: the main program first, the others
 * by address. */
void legacy_maps_read(struct legacy_text *text, struct heap *heap);

/* The mapping that holds the address, HEAP_NONE if none does. The heap has no others than those. */
uint32_t legacy_maps_find(const struct heap *heap, uint64_t address);

#endif
