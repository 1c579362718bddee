/* SPDX-License-Identifier: MIT */
#include "tools/views/folded.h"

#include <inttypes.h>
#include <string.h>

struct folding {
  const struct heap *heap;
  struct places *places;
  struct heap_places *of_heap;
  GPtrArray *names; /* by place */
  uint32_t *ranks;  /* by place: in the order of names, equal for equal names */
  uint32_t *depths; /* by sample: how many places there are down to the owner */
};

/* Goes through the places of a sample down to its owner, outermost first. */
struct walk {
  const struct folding *folding;
  const uint32_t *frames;
  uint32_t frames_left, places_left;
  const struct heap_location *location; /* whose lines are not all done; NULL: the next frame */
  uint32_t lines_left;
};

/* `;` separates frames, a line feed stacks. */
static char *shown_name(const struct place *place)
{
  GString *name = g_string_new(NULL);
  const char *base = strrchr(place->file, '/');
  g_autofree char *text = place->file[0] == '\0' ? g_strdup(place->name)
                                                 : g_strdup_printf("%s %s:%" PRId64, place->name,
                                                                   base != NULL ? base + 1 : place->file, place->line);
  for (const char *c = text; *c != '\0'; c = g_utf8_next_char(c)) {
    gunichar character = g_utf8_get_char(c);
    g_string_append_unichar(name, character == ';' ? ':' : g_unichar_isprint(character) ? character : '?');
  }
  return g_string_free(name, FALSE);
}

static gint compare_names(gconstpointer a, gconstpointer b, gpointer data)
{
  const GPtrArray *names = data;
  return strcmp(g_ptr_array_index(names, *(const uint32_t *)a), g_ptr_array_index(names, *(const uint32_t *)b));
}

static void rank_names(struct folding *folding)
{
  guint count = folding->places->places->len;
  g_autofree uint32_t *sorted = g_new(uint32_t, count);
  folding->ranks = g_new(uint32_t, count);
  for (guint i = 0; i < count; i++) {
    g_ptr_array_add(folding->names, shown_name(place_of(folding->places, i)));
    sorted[i] = i;
  }
  g_qsort_with_data(sorted, (gint)count, sizeof *sorted, compare_names, folding->names);
  for (guint i = 0; i < count; i++) {
    bool is_same = i > 0 && compare_names(&sorted[i - 1], &sorted[i], folding->names) == 0;
    folding->ranks[sorted[i]] = is_same ? folding->ranks[sorted[i - 1]] : i;
  }
}

static uint32_t places_of_frame(const struct heap *heap, uint32_t frame)
{
  return MAX(heap_location(heap, frame)->line_count, 1);
}

static void find_owners(struct folding *folding)
{
  uint32_t count = folding->heap->samples->len, places;
  folding->depths = g_new0(uint32_t, count);
  for (uint32_t i = 0; i < count; i++) {
    const struct heap_sample *sample = heap_sample(folding->heap, i);
    const uint32_t *frames = heap_frames(folding->heap, sample);
    for (uint32_t frame = 0; frame < sample->frame_count; frame++)
      folding->depths[i] += places_of_frame(folding->heap, frames[frame]);
    const struct stack_place *stack = heap_places_stack(folding->of_heap, i, &places);
    folding->depths[i] -= stack_owner(stack, places);
  }
}

static struct walk walk_begin(const struct folding *folding, uint32_t sample)
{
  const struct heap_sample *stack = heap_sample(folding->heap, sample);
  return (struct walk){.folding = folding,
                       .frames = heap_frames(folding->heap, stack),
                       .frames_left = stack->frame_count,
                       .places_left = folding->depths[sample]};
}

/* The number of the next place. False: that was all. */
static bool walk_next(struct walk *walk, uint32_t *place)
{
  const struct folding *folding = walk->folding;
  if (walk->places_left-- == 0)
    return false;
  if (walk->location == NULL) {
    uint32_t index = walk->frames[--walk->frames_left];
    const struct heap_location *location = heap_location(folding->heap, index);
    *place = folding->of_heap->of_locations[index];
    if (location->line_count == 0)
      return true;
    walk->location = location;
    walk->lines_left = location->line_count;
  }
  *place = folding->of_heap->of_lines[walk->location->first_line + --walk->lines_left];
  if (walk->lines_left == 0)
    walk->location = NULL;
  return true;
}

/* Frames that two stacks begin with need not be looked at. */
static void skip_common(struct walk *one, struct walk *other)
{
  while (one->frames_left > 0 && other->frames_left > 0 &&
         one->frames[one->frames_left - 1] == other->frames[other->frames_left - 1]) {
    uint32_t places = places_of_frame(one->folding->heap, one->frames[one->frames_left - 1]);
    if (places > one->places_left || places > other->places_left)
      return;
    one->frames_left--;
    one->places_left -= places;
    other->frames_left--;
    other->places_left -= places;
  }
}

static gint compare_samples(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct folding *folding = data;
  struct walk one = walk_begin(folding, *(const uint32_t *)a), other = walk_begin(folding, *(const uint32_t *)b);
  skip_common(&one, &other);
  for (;;) {
    uint32_t place, other_place;
    bool is_there = walk_next(&one, &place), is_other_there = walk_next(&other, &other_place);
    if (!is_there || !is_other_there)
      return is_there - is_other_there;
    uint32_t rank = folding->ranks[place], other_rank = folding->ranks[other_place];
    if (rank != other_rank)
      return rank < other_rank ? -1 : 1;
  }
}

static void print_stack(FILE *stream, const struct folding *folding, uint32_t sample, int64_t value)
{
  struct walk walk = walk_begin(folding, sample);
  uint32_t place;
  if (value == 0)
    return;
  if (walk.frames_left == 0)
    fputs("<unknown>", stream);
  for (const char *separator = ""; walk_next(&walk, &place); separator = ";") {
    fputs(separator, stream);
    fputs(g_ptr_array_index(folding->names, place), stream);
  }
  fprintf(stream, " %" PRId64 "\n", value);
}

static void print_all(FILE *stream, struct folding *folding, int type)
{
  uint32_t count = folding->heap->samples->len;
  g_autofree uint32_t *sorted = g_new(uint32_t, count);
  for (uint32_t i = 0; i < count; i++)
    sorted[i] = i;
  g_qsort_with_data(sorted, (gint)count, sizeof *sorted, compare_samples, folding);
  for (uint32_t i = 0; i < count;) {
    uint32_t first = sorted[i];
    int64_t value = 0;
    for (; i < count && compare_samples(&first, &sorted[i], folding) == 0; i++)
      if (__builtin_add_overflow(value, heap_values(folding->heap, sorted[i])[type], &value))
        value = INT64_MAX;
    print_stack(stream, folding, first, value);
  }
}

void folded_print(FILE *stream, const struct heap *heap, int type, enum places_by by)
{
  struct folding folding = {.heap = heap, .places = places_new(by), .names = g_ptr_array_new_with_free_func(g_free)};
  folding.of_heap = heap_places_new(folding.places, heap);
  rank_names(&folding);
  find_owners(&folding);
  print_all(stream, &folding, type);
  heap_places_free(folding.of_heap);
  places_free(folding.places);
  g_ptr_array_free(folding.names, TRUE);
  g_free(folding.ranks);
  g_free(folding.depths);
}
