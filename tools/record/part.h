/* SPDX-License-Identifier: MIT */
/* What a process has once, as bytes: mappings, functions, locations and stacks. Such parts follow each other: each has
 * what was new when it was written, and refers to what came before.
 *
 * Failure: false and *error, for bytes that are none; then the heap has some of it.
 */
#ifndef HEAPPROF_PART_H
#define HEAPPROF_PART_H

#include "tools/heap/heap.h"
#include "tools/record/texts.h"

/* How much of a heap earlier parts have. */
struct part_start {
  uint32_t mappings, functions, locations, samples;
};

static inline struct part_start part_end(const struct heap *heap)
{
  return (struct part_start){heap->mappings->len, heap->functions->len, heap->locations->len, heap->samples->len};
}

/* Of a heap whose locations got their lines in the order in which they were added. */
GBytes *part_pack(const struct heap *heap, const struct part_start *start, struct texts *texts);

/* Appends it to the heap; samples have zeros. */
bool part_unpack(struct heap *heap, const void *bytes, size_t size, const struct texts *texts, GError **error);

/* Puts the numbers of its texts into `used` (uint64_t *). */
bool part_note_texts(const void *bytes, size_t size, GHashTable *used, const char *name, GError **error);

#endif
