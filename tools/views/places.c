/* SPDX-License-Identifier: MIT */
#include "tools/views/places.h"

#include "tools/heap/stand_in.h"

static guint hash_place(gconstpointer key)
{
  const struct place *place = key;
  return (g_direct_hash(place->name) * 31 + g_direct_hash(place->file)) * 31 + (guint)place->line;
}

/* Texts are interned: equal text, equal pointer. */
static gboolean is_same_place(gconstpointer a, gconstpointer b)
{
  const struct place *one = a, *other = b;
  return one->name == other->name && one->file == other->file && one->line == other->line;
}

struct places *places_new(enum places_by by)
{
  struct places *places = g_new0(struct places, 1);
  places->by = by;
  places->places = g_array_new(FALSE, FALSE, sizeof(struct place));
  places->texts = g_string_chunk_new(64 << 10);
  places->numbers = g_hash_table_new_full(hash_place, is_same_place, g_free, NULL);
  return places;
}

void places_free(struct places *places)
{
  if (places == NULL)
    return;
  g_array_free(places->places, TRUE);
  g_string_chunk_free(places->texts);
  g_hash_table_destroy(places->numbers);
  g_free(places);
}

/* One file has one name: without "." and ".." in it, as pprof shows them. */
static char *clean_file(const char *file)
{
  if (file[0] == '\0' || g_str_has_prefix(file, "../"))
    return g_strdup(file);
  g_autofree char *absolute = g_canonicalize_filename(file, "/");
  return g_strdup(file[0] == '/' ? absolute : absolute + 1);
}

static uint32_t add_place(struct places *places, const char *name, const char *file, int64_t line,
                          enum function_role role)
{
  bool by_line = places->by == PLACES_BY_LINE;
  struct place place = {g_string_chunk_insert_const(places->texts, name),
                        g_string_chunk_insert_const(places->texts, by_line ? file : ""), by_line ? line : 0, role};
  gpointer found;
  if (g_hash_table_lookup_extended(places->numbers, &place, NULL, &found))
    return GPOINTER_TO_UINT(found);
  uint32_t number = places->places->len;
  g_array_append_val(places->places, place);
  g_hash_table_insert(places->numbers, g_memdup2(&place, sizeof place), GUINT_TO_POINTER(number));
  return number;
}

static uint32_t add_nameless(struct places *places, const struct heap *heap, const struct heap_location *location)
{
  const char *path = location->mapping != HEAP_NONE ? heap_mapping(heap, location->mapping)->path : "";
  g_autofree char *name = stand_in_for_mapping(path);
  return add_place(places, name, "", 0, FUNCTION_UNNAMED);
}

static enum function_role role_of(const struct heap *heap, const struct heap_location *location,
                                  const struct heap_function *function)
{
  bool is_nobody = function->role == FUNCTION_ORDINARY && stand_in_is_all(heap, location);
  return is_nobody ? FUNCTION_UNNAMED : function->role;
}

static uint32_t add_line(struct places *places, const struct heap *heap, const struct heap_location *location,
                         const struct heap_line *line)
{
  if (line->function == HEAP_NONE)
    return add_nameless(places, heap, location);
  const struct heap_function *function = heap_function(heap, line->function);
  if (function->name[0] == '\0')
    return add_nameless(places, heap, location);
  g_autofree char *file = places->by == PLACES_BY_LINE ? clean_file(function->file) : NULL;
  return add_place(places, function->name, file, line->line, role_of(heap, location, function));
}

struct heap_places *heap_places_new(struct places *places, const struct heap *heap)
{
  struct heap_places *of_heap = g_new0(struct heap_places, 1);
  of_heap->heap = heap;
  of_heap->places = places;
  of_heap->of_lines = g_new0(uint32_t, heap->lines->len);
  of_heap->of_locations = g_new0(uint32_t, heap->locations->len);
  of_heap->stack = g_array_new(FALSE, FALSE, sizeof(struct stack_place));
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    for (uint32_t line = 0; line < location->line_count; line++)
      of_heap->of_lines[location->first_line + line] =
          add_line(places, heap, location, heap_lines(heap, location) + line);
    if (location->line_count == 0)
      of_heap->of_locations[i] = add_nameless(places, heap, location);
  }
  return of_heap;
}

void heap_places_free(struct heap_places *of_heap)
{
  if (of_heap == NULL)
    return;
  g_free(of_heap->of_lines);
  g_free(of_heap->of_locations);
  g_array_free(of_heap->stack, TRUE);
  g_free(of_heap);
}

static void append_place(struct heap_places *of_heap, uint32_t place, bool is_inlined)
{
  struct stack_place added = {place, is_inlined, place_of(of_heap->places, place)->role};
  g_array_append_val(of_heap->stack, added);
}

static void append_location(struct heap_places *of_heap, uint32_t number)
{
  const struct heap_location *location = heap_location(of_heap->heap, number);
  for (uint32_t i = 0; i < location->line_count && of_heap->stack->len < STACK_PLACES_MAX; i++)
    append_place(of_heap, of_heap->of_lines[location->first_line + i], i + 1 < location->line_count);
  if (location->line_count == 0)
    append_place(of_heap, of_heap->of_locations[number], false);
}

const struct stack_place *heap_places_stack(struct heap_places *of_heap, uint32_t sample, uint32_t *count)
{
  const struct heap_sample *stack = heap_sample(of_heap->heap, sample);
  const uint32_t *frames = heap_frames(of_heap->heap, stack);
  g_array_set_size(of_heap->stack, 0);
  for (uint32_t i = 0; i < stack->frame_count && of_heap->stack->len < STACK_PLACES_MAX; i++)
    append_location(of_heap, frames[i]);
  *count = of_heap->stack->len;
  return (const struct stack_place *)of_heap->stack->data;
}

/* The allocator that has called it, where all in between is unnamed: as many as are functions of an allocator, and not
 * what one calls when memory is short. */
static uint32_t allocator_above(const struct stack_place *stack, uint32_t first, uint32_t end)
{
  enum { UNNAMED_MAX = 2 };
  uint32_t i = first;
  while (i < end && i - first < UNNAMED_MAX && stack[i].role == FUNCTION_UNNAMED)
    i++;
  return i < end && stack[i].role == FUNCTION_ALLOCATOR ? i : first;
}

uint32_t stack_owner(const struct stack_place *stack, uint32_t count)
{
  uint32_t end = count;
  while (end > 0 && function_is_start(stack[end - 1].role))
    end--;
  for (uint32_t i = 0; i < end; i++) {
    i = allocator_above(stack, i, end);
    if (!function_is_plumbing(stack[i].role))
      return i;
  }
  return end > 0 ? end - 1 : 0;
}
