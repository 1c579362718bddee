/* SPDX-License-Identifier: MIT */
/* Resident memory as people read it: a bar, a line for each part; what rounding costs, by who asked; mappings. And as
 * JSON. */
#ifndef HEAPPROF_RESIDENT_VIEW_H
#define HEAPPROF_RESIDENT_VIEW_H

#include "tools/resident/resident_memory.h"
#include "tools/views/rows.h"

#include <jansson.h>

/* A line with the total, the bar, the parts; `width` of the bar's line, 0: as usual. */
void resident_view_append(GString *text, const struct target *target, const struct resident_memory *memory, int width);

/* Who asked for what the allocator rounds up most: the first `count` rows of a heap with REGION_ROUNDING. */
void resident_view_append_rounding(GString *text, const struct heap *heap, uint32_t count, int width, FILE *stream);

/* Who mapped most of what is resident: of a heap with REGION_RESIDENT_TYPE (source_open_resident). */
void resident_view_append_direct(GString *text, const struct heap *heap, uint32_t count, int width, FILE *stream);

/* Every mapping that has something resident. */
void resident_view_append_mappings(GString *text, const struct resident_memory *memory, int width, FILE *stream);

/* Keys as the manual has them; `heap`: with REGION_ROUNDING, NULL: without that; `direct`: with REGION_RESIDENT_TYPE,
 * NULL: the same; mappings only if they are wanted. */
json_t *resident_view_json(const struct target *target, const struct resident_memory *memory, const struct heap *heap,
                           const struct heap *direct, uint32_t count, bool wants_mappings);

#endif
