/* SPDX-License-Identifier: MIT */
/* What must hold of a heap that was read from a file that anybody made: it can be written and read again, is the same
 * then, and goes through everything that the commands do with one without a symbol being looked up. */
#ifndef HEAP_CHECKS_H
#define HEAP_CHECKS_H

#include "tools/heap/combine.h"
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/heap/sums.h"
#include "tools/source/source.h"
#include "tools/views/change.h"
#include "tools/views/facts.h"
#include "tools/views/folded.h"

#include "must.h"

#include <stdio.h>

static inline void check_samples(const struct heap *heap)
{
  MUST(heap->types->len >= 1 && heap->types->len <= HEAP_TYPES_MAX);
  MUST(heap->values->len == heap->samples->len * heap->types->len);
  MUST(heap->variances == NULL || heap->variances->len == heap->values->len);
  for (guint i = 0; i < heap->samples->len; i++) {
    const struct heap_sample *sample = heap_sample(heap, i);
    MUST(sample->first_label + sample->label_count <= heap->labels->len);
    for (uint32_t frame = 0; frame < sample->frame_count; frame++)
      MUST(heap_frames(heap, sample)[frame] < heap->locations->len);
    for (guint type = 0; type < heap->types->len; type++)
      MUST(heap_variance(heap, i, (int)type) >= 0);
  }
}

static inline void check_locations(const struct heap *heap)
{
  for (guint i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    MUST(location->mapping == HEAP_NONE || location->mapping < heap->mappings->len);
    for (uint32_t line = 0; line < location->line_count; line++)
      MUST(heap_lines(heap, location)[line].function < heap->functions->len);
  }
}

static inline struct heap *write_and_read(const struct heap *heap)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) packed = save_bytes(heap, NULL);
  gsize size;
  const void *bytes = g_bytes_get_data(packed, &size);
  struct heap *back = load_bytes(bytes, size, "saved", &error);
  if (back == NULL)
    g_error("what was written is refused: %s", error->message);
  return back;
}

/* What is left of a profile when it is written: as many samples as there are different ones. */
static inline void check_written(const struct heap *heap)
{
  struct heap *back = write_and_read(heap);
  g_autoptr(GArray) sums = sums_of(heap), sums_back = sums_of(back);
  MUST(sums->len == back->samples->len && sums_back->len == sums->len);
  MUST((heap->variances != NULL) == (back->variances != NULL) || sums->len == 0);
  heap_free(back);
}

static inline void check_combined(const struct heap *heap)
{
  struct combiner *combiner = combiner_new();
  MUST(combiner_add(combiner, heap, NULL) && combiner_add(combiner, heap, NULL));
  struct heap *sum = combiner_end(combiner);
  check_samples(sum);
  check_locations(sum);
  MUST(sum->samples->len <= heap->samples->len);
  heap_free(sum);
}

static inline void check_shown(const struct heap *heap, FILE *nowhere)
{
  facts_free(facts_of(heap));
  folded_print(nowhere, heap, heap_find_type(heap, NULL), PLACES_BY_LINE);
}

/* From itself: as of one process, if it says which. */
static inline void check_difference(const struct heap *heap)
{
  for (int type = 0; heap->variances != NULL && type < (int)heap->types->len; type++) {
    struct change_variances *variances = change_variances_new(heap, type, heap, type);
    for (guint i = 0; i < heap->samples->len; i++)
      MUST(variances->old[i] >= 0 && variances->new[i] >= 0);
    change_variances_free(variances);
  }
}

/* Reads the bytes; what becomes a heap is checked. */
static inline void check_input(const uint8_t *data, size_t size)
{
  static FILE *nowhere;
  g_autoptr(GError) error = NULL;
  if (nowhere == NULL)
    nowhere = fopen("/dev/null", "w");
  struct heap *heap = load_bytes(data, size, "input", &error);
  MUST((heap != NULL) != (error != NULL));
  if (heap == NULL) {
    MUST(strchr(error->message, '\n') == NULL);
    return;
  }
  check_samples(heap);
  check_locations(heap);
  check_written(heap);
  check_combined(heap);
  check_difference(heap);
  check_shown(heap, nowhere);
  source_drop_frames(heap);
  check_samples(heap);
  check_locations(heap);
  heap_free(heap);
}

#endif
