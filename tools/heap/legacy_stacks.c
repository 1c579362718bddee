/* SPDX-License-Identifier: MIT */
#include "tools/heap/legacy_stacks.h"

#include "tools/heap/legacy_maps.h"

#include <stdlib.h>
#include <string.h>

struct named_place {
  uint64_t address;
  uint32_t sample, order; /* of those with this address, in the text */
  struct heap_line line;
};

struct legacy_stacks {
  struct heap *heap;
  GArray *addresses; /* uint64_t: of all frames */
  uint32_t ended;    /* of those: of stacks that have */
  GArray *names;     /* struct named_place */
};

struct legacy_stacks *legacy_stacks_new(struct heap *heap)
{
  struct legacy_stacks *stacks = g_new(struct legacy_stacks, 1);
  *stacks = (struct legacy_stacks){.heap = heap,
                                   .addresses = g_array_sized_new(FALSE, FALSE, sizeof(uint64_t), 1),
                                   .names = g_array_new(FALSE, FALSE, sizeof(struct named_place))};
  return stacks;
}

void legacy_stacks_free(struct legacy_stacks *stacks)
{
  g_array_unref(stacks->addresses);
  g_array_unref(stacks->names);
  g_free(stacks);
}

void legacy_stacks_add_frame(struct legacy_stacks *stacks, uint64_t address)
{
  g_array_append_val(stacks->addresses, address);
}

void legacy_stacks_end(struct legacy_stacks *stacks, const int64_t *values, const double *variances)
{
  uint32_t end = stacks->addresses->len;
  heap_add_sample_of(stacks->heap, stacks->ended, end - stacks->ended, values, variances);
  stacks->ended = end;
}

void legacy_stacks_name(struct legacy_stacks *stacks, uint64_t address, struct heap_function function, int64_t line)
{
  struct named_place place = {
      address, stacks->heap->samples->len, stacks->names->len, {heap_add_function(stacks->heap, function), line}};
  g_array_append_val(stacks->names, place);
}

/* Locations. */

static int compare_addresses(const void *a, const void *b)
{
  const uint64_t *one = a, *other = b;
  return (*one > *other) - (*one < *other);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
  const struct named_place *one = a, *other = b;
  if (one->address != other->address)
    return one->address < other->address ? -1 : 1;
  return one->order < other->order ? -1 : 1;
}

static void add_locations(const struct legacy_stacks *stacks)
{
  struct heap *heap = stacks->heap;
  size_t count = stacks->addresses->len;
  g_autofree uint64_t *sorted = g_new(uint64_t, count);
  if (count == 0)
    return;
  memcpy(sorted, stacks->addresses->data, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare_addresses);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || sorted[i] != sorted[i - 1])
      heap_add_location(heap, sorted[i], legacy_maps_find(heap, sorted[i]));
}

static int compare_location(const void *a, const void *b)
{
  const uint64_t *address = a;
  const struct heap_location *location = b;
  return (*address > location->address) - (*address < location->address);
}

/* HEAP_NONE: no frame has this address. */
static uint32_t location_of(const struct heap *heap, uint64_t address)
{
  const struct heap_location *locations = heap_location(heap, 0), *found;
  if (heap->locations->len == 0)
    return HEAP_NONE;
  found = bsearch(&address, locations, heap->locations->len, sizeof *locations, compare_location);
  return found != NULL ? (uint32_t)(found - locations) : HEAP_NONE;
}

/* The end of the names that begin at `start` and are of the same address; *lines: of those of its first sample. */
static guint names_of_address(const GArray *names, guint start, GArray *lines)
{
  const struct named_place *first = &g_array_index(names, struct named_place, start);
  guint end = start;
  g_array_set_size(lines, 0);
  for (; end < names->len; end++) {
    const struct named_place *place = &g_array_index(names, struct named_place, end);
    if (place->address != first->address)
      break;
    if (place->sample == first->sample)
      g_array_append_val(lines, place->line);
  }
  return end;
}

static void name_locations(const struct legacy_stacks *stacks)
{
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  g_array_sort(stacks->names, compare_names);
  for (guint i = 0; i < stacks->names->len;) {
    uint64_t address = g_array_index(stacks->names, struct named_place, i).address;
    uint32_t location = location_of(stacks->heap, address);
    i = names_of_address(stacks->names, i, lines);
    if (location != HEAP_NONE)
      heap_set_lines(stacks->heap, location, (const struct heap_line *)(void *)lines->data, lines->len);
  }
}

void legacy_stacks_finish(struct legacy_stacks *stacks)
{
  add_locations(stacks);
  name_locations(stacks);
  GArray *frames = g_array_sized_new(FALSE, FALSE, sizeof(uint32_t), MAX(stacks->addresses->len, 1));
  for (guint i = 0; i < stacks->addresses->len; i++) {
    uint32_t location = location_of(stacks->heap, g_array_index(stacks->addresses, uint64_t, i));
    g_array_append_val(frames, location);
  }
  heap_take_frames(stacks->heap, frames);
}
