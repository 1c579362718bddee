/* SPDX-License-Identifier: MIT */
#include "tools/filter/kept.h"

#include "core/cuts.h"
#include "tools/filter/expression.h"

#include <string.h>

/* Names of functions. */
static const GRegex *keepers(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_KEPT(group, expression) expression,
#define HEAPPROF_KEPT_IN(expression)
#include "tools/filter/kept.def"
#undef HEAPPROF_KEPT
#undef HEAPPROF_KEPT_IN
  };
  static GRegex *compiled;
  return expression_of_list(&compiled, expressions, G_N_ELEMENTS(expressions));
}

/* Names of files. */
static const GRegex *libraries(void)
{
  static const char *const expressions[] = {
#define HEAPPROF_KEPT(group, expression)
#define HEAPPROF_KEPT_IN(expression) expression,
#include "tools/filter/kept.def"
#undef HEAPPROF_KEPT
#undef HEAPPROF_KEPT_IN
  };
  static GRegex *compiled;
  return expression_of_list(&compiled, expressions, G_N_ELEMENTS(expressions));
}

bool kept_is_library(const char *path)
{
  g_autofree char *name = g_path_get_basename(path);
  return expression_matches(libraries(), name);
}

bool kept_is_keeper(const char *name)
{
  return expression_matches(keepers(), name);
}

/* What of a location matters: on the way from the allocator outwards. */
enum place {
  PLACE_ELSEWHERE, /* somebody's own code: whatever is below it is theirs */
  PLACE_PLUMBING,  /* of a language's library, wherever it is linked */
  PLACE_LIBRARY,
  PLACE_KEEPER,
};

static enum place place_of_line(const struct heap *heap, const struct heap_line *line, bool is_in_library)
{
  const struct heap_function *function = line->function != HEAP_NONE ? heap_function(heap, line->function) : NULL;
  bool is_plumbing = function != NULL && function_is_plumbing(function->role);
  if (!is_in_library && !is_plumbing)
    return PLACE_ELSEWHERE;
  if (function != NULL && kept_is_keeper(function->name))
    return PLACE_KEEPER;
  return is_in_library ? PLACE_LIBRARY : PLACE_PLUMBING;
}

static enum place place_of(const struct heap *heap, const struct heap_location *location, const bool *is_library)
{
  bool is_in_library = location->mapping != HEAP_NONE && is_library[location->mapping];
  enum place place = is_in_library ? PLACE_LIBRARY : PLACE_ELSEWHERE;
  for (uint32_t i = 0; i < location->line_count; i++) {
    place = place_of_line(heap, heap_lines(heap, location) + i, is_in_library);
    if (place == PLACE_KEEPER || place == PLACE_ELSEWHERE)
      return place;
  }
  return place;
}

static enum place *places_of(const struct heap *heap)
{
  enum place *places = g_new0(enum place, heap->locations->len + 1);
  g_autofree bool *is_library = g_new0(bool, heap->mappings->len + 1);
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    is_library[i] = kept_is_library(heap_mapping(heap, i)->path);
  for (uint32_t i = 0; i < heap->locations->len; i++)
    places[i] = place_of(heap, heap_location(heap, i), is_library);
  return places;
}

static bool is_cut(const struct heap *heap, const struct heap_sample *sample)
{
  for (uint32_t i = 0; i < sample->label_count; i++)
    if (strcmp(g_array_index(heap->labels, struct heap_label, sample->first_label + i).key, CUT_LABEL) == 0)
      return true;
  return false;
}

static bool is_kept(const struct heap *heap, const struct heap_sample *sample, const enum place *places)
{
  bool is_all_theirs = sample->frame_count > 0 && !is_cut(heap, sample);
  for (uint32_t i = 0; i < sample->frame_count; i++) {
    enum place place = places[heap_frames(heap, sample)[i]];
    if (place == PLACE_KEEPER || place == PLACE_ELSEWHERE)
      return place == PLACE_KEEPER;
    is_all_theirs = is_all_theirs && place == PLACE_LIBRARY;
  }
  return is_all_theirs;
}

bool *kept_of(const struct heap *heap)
{
  g_autofree enum place *places = places_of(heap);
  bool *kept = g_new0(bool, heap->samples->len + 1);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    kept[i] = is_kept(heap, heap_sample(heap, i), places);
  return kept;
}
