/* SPDX-License-Identifier: MIT */
#include "tools/heap/wrappers.h"

#include "core/allocation_names.h"

#include <string.h>

/* The function itself, not what was inlined into it, is the last line of a location. */
static bool is_wrapper(const struct heap *heap, const struct heap_location *location)
{
  static const char *const names[] = {ALLOCATION_WRAPPERS};
  if (location->line_count == 0)
    return false;
  const struct heap_line *outermost = heap_lines(heap, location) + location->line_count - 1;
  const char *name = heap_function(heap, outermost->function)->system_name;
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

void wrappers_strip(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    while (sample->frame_count > 1 && is_wrapper(heap, heap_location(heap, heap_frames(heap, sample)[0]))) {
      sample->first_frame++;
      sample->frame_count--;
    }
  }
}
