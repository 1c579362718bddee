/* SPDX-License-Identifier: MIT */
#include "tools/heap/combine.h"

#include "tools/heap/comment_sums.h"
#include "tools/heap/layout.h"
#include "tools/heap/stand_in.h"
#include "tools/heap/sums.h"

#include <string.h>

enum { PAGE_BYTES = 4096, COMPACT_LEAST = 100000 };

/* Anonymous memory is one mapping as far as its addresses go: what belongs to no file is told apart by them alone. */
#define ANONYMOUS (HEAP_NONE - 1)

/* What makes two mappings one. */
struct mapping_key {
  const char *name;                  /* interned in the result: build id, path or "" */
  uint64_t size, file_offset, start; /* start: of anonymous ones */
};

/* What makes two locations one: mapping, address, lines. The table's functions need the heap, so each key points to
 * it. */
struct location_key {
  const struct heap *heap;
  uint32_t location;
  uint32_t mapping; /* or ANONYMOUS */
};

struct combiner {
  struct heap *heap;
  struct comment_sums *comments;
  GHashTable *mappings;       /* struct mapping_key -> index + 1 */
  GHashTable *locations;      /* struct location_key -> index + 1 */
  GHashTable *file_locations; /* address -> index + 1, of locations in files */
  struct layout *layout;
  guint compacted; /* samples when they were last added up */
  bool lacks_variances;
};

/* For one heap that is being added: what its indexes became. */
struct translation {
  const struct heap *from;
  uint32_t *mappings, *functions, *locations;
};

/* Hashing. */

static guint mix(uint64_t hash, uint64_t word)
{
  hash = (hash ^ word) * 0x9fb21c651e98df25u;
  return (guint)(hash ^ hash >> 32);
}

static guint hash_mapping(gconstpointer key)
{
  const struct mapping_key *mapping = key;
  return mix(mix(mix(mix(0, (uintptr_t)mapping->name), mapping->size), mapping->file_offset), mapping->start);
}

static gboolean is_same_mapping(gconstpointer a, gconstpointer b)
{
  const struct mapping_key *one = a, *other = b;
  return one->name == other->name && one->size == other->size && one->file_offset == other->file_offset &&
         one->start == other->start;
}

static guint hash_location(gconstpointer key)
{
  const struct location_key *location = key;
  const struct heap_location *place = heap_location(location->heap, location->location);
  const struct heap_line *lines = heap_lines(location->heap, place);
  guint hash = mix(mix(location->mapping, place->address), place->is_folded);
  for (uint32_t i = 0; i < place->line_count; i++)
    hash = mix(mix(hash, lines[i].function), (uint64_t)lines[i].line);
  return hash;
}

static bool has_same_lines(const struct heap *heap, const struct heap_location *one, const struct heap_location *other)
{
  const struct heap_line *a = heap_lines(heap, one), *b = heap_lines(heap, other);
  if (one->line_count != other->line_count)
    return false;
  for (uint32_t i = 0; i < one->line_count; i++)
    if (a[i].function != b[i].function || a[i].line != b[i].line)
      return false;
  return true;
}

static gboolean is_same_location(gconstpointer a, gconstpointer b)
{
  const struct location_key *one = a, *other = b;
  const struct heap_location *place = heap_location(one->heap, one->location),
                             *other_place = heap_location(other->heap, other->location);
  return one->mapping == other->mapping && place->address == other_place->address &&
         place->is_folded == other_place->is_folded && has_same_lines(one->heap, place, other_place);
}

static guint hash_address(gconstpointer address)
{
  return mix(0, (uintptr_t)address);
}

/* Mappings. */

static uint32_t add_mapping(struct combiner *combiner, const struct heap_mapping *from)
{
  struct heap_mapping mapping = *from;
  const char *name = from->build_id[0] != '\0' ? from->build_id : from->path;
  uint64_t size = from->limit - from->start;
  struct mapping_key key = {.name = heap_text(combiner->heap, name), .size = size, .file_offset = from->file_offset};
  if (layout_is_anonymous(from))
    key.start = from->start;
  else
    key.size = (size + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
  gpointer found = g_hash_table_lookup(combiner->mappings, &key);
  if (found != NULL)
    return GPOINTER_TO_UINT(found) - 1;
  layout_place(combiner->layout, &mapping);
  uint32_t index = heap_add_mapping(combiner->heap, mapping);
  g_hash_table_insert(combiner->mappings, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(index + 1));
  return index;
}

/* Locations. */

static const char *outermost_name(const struct heap *heap, const struct heap_location *location)
{
  const struct heap_line *lines = heap_lines(heap, location);
  uint32_t index = lines[location->line_count - 1].function;
  if (index == HEAP_NONE)
    return "";
  const struct heap_function *function = heap_function(heap, index);
  return function->system_name[0] != '\0' ? function->system_name : function->name;
}

/* Could the lines of two locations of one address both be right, one only knowing more? */
static bool agree(const struct heap *heap, const struct heap_location *one, const struct heap_location *other)
{
  return one->is_folded == other->is_folded && (stand_in_is_all(heap, one) || stand_in_is_all(heap, other) ||
                                                outermost_name(heap, one) == outermost_name(heap, other));
}

static bool has_line_numbers(const struct heap *heap, const struct heap_location *location)
{
  const struct heap_line *lines = heap_lines(heap, location);
  return location->line_count > 0 && lines[location->line_count - 1].line > 0;
}

static bool knows_more(const struct heap *heap, const struct heap_location *one, const struct heap_location *other)
{
  bool has_numbers = has_line_numbers(heap, one);
  if (has_numbers != has_line_numbers(heap, other))
    return has_numbers;
  if (stand_in_is_all(heap, one) != stand_in_is_all(heap, other))
    return stand_in_is_all(heap, other);
  return one->line_count > other->line_count;
}

/* Is it an address in a file, where it says which code it is? */
static bool is_in_file(const struct heap *heap, const struct heap_location *location)
{
  if (location->mapping == HEAP_NONE)
    return false;
  const struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
  return !layout_is_anonymous(mapping) && mapping->limit - mapping->start <= LAYOUT_FILE_BYTES_MAX &&
         location->address >= mapping->start && location->address < mapping->limit;
}

/* The location added last, before it is known whether there was one like it. */
static uint32_t add_candidate(struct combiner *combiner, const struct translation *translation, uint32_t index)
{
  const struct heap *from = translation->from;
  const struct heap_location *source = heap_location(from, index);
  const struct heap_line *source_lines = heap_lines(from, source);
  uint64_t address = source->address;
  uint32_t mapping = HEAP_NONE;
  if (source->mapping != HEAP_NONE) {
    const struct heap_mapping *old = heap_mapping(from, source->mapping);
    mapping = translation->mappings[source->mapping];
    struct heap_mapping *new = heap_mapping(combiner->heap, mapping);
    address += new->start - old->start;
    new->has_functions &= old->has_functions;
    new->has_filenames &= old->has_filenames;
    new->has_line_numbers &= old->has_line_numbers;
    new->has_inline_frames &= old->has_inline_frames;
  }
  uint32_t candidate = heap_add_location(combiner->heap, address, mapping);
  g_autofree struct heap_line *lines = g_new(struct heap_line, source->line_count);
  for (uint32_t i = 0; i < source->line_count; i++)
    lines[i] = (struct heap_line){
        source_lines[i].function != HEAP_NONE ? translation->functions[source_lines[i].function] : HEAP_NONE,
        source_lines[i].line};
  heap_set_lines(combiner->heap, candidate, lines, source->line_count);
  heap_location(combiner->heap, candidate)->is_folded = source->is_folded;
  return candidate;
}

static uint32_t drop_candidate(struct combiner *combiner, uint32_t candidate, uint32_t instead)
{
  struct heap *heap = combiner->heap;
  struct heap_location *dropped = heap_location(heap, candidate), *kept = heap_location(heap, instead);
  if (knows_more(heap, dropped, kept)) {
    kept->first_line = dropped->first_line;
    kept->line_count = dropped->line_count;
  } else {
    g_array_set_size(heap->lines, dropped->first_line);
  }
  g_array_set_size(heap->locations, candidate);
  return instead;
}

static uint32_t add_location(struct combiner *combiner, const struct translation *translation, uint32_t index)
{
  struct heap *heap = combiner->heap;
  uint32_t candidate = add_candidate(combiner, translation, index);
  struct heap_location *location = heap_location(heap, candidate);
  gpointer address = (gpointer)(uintptr_t)location->address;
  bool in_file = is_in_file(heap, location);
  guint found = in_file ? GPOINTER_TO_UINT(g_hash_table_lookup(combiner->file_locations, address)) : 0;
  if (found != 0 && agree(heap, location, heap_location(heap, found - 1)))
    return drop_candidate(combiner, candidate, found - 1);
  bool lies_alone = location->mapping != HEAP_NONE && layout_is_anonymous(heap_mapping(heap, location->mapping));
  struct location_key key = {heap, candidate, lies_alone ? ANONYMOUS : location->mapping};
  found = GPOINTER_TO_UINT(g_hash_table_lookup(combiner->locations, &key));
  if (found != 0)
    return drop_candidate(combiner, candidate, found - 1);
  g_hash_table_insert(combiner->locations, g_memdup2(&key, sizeof key), GUINT_TO_POINTER(candidate + 1));
  if (in_file)
    g_hash_table_insert(combiner->file_locations, address, GUINT_TO_POINTER(candidate + 1));
  return candidate;
}

/* Samples. */

static void add_sample(struct combiner *combiner, const struct translation *translation, uint32_t index, GArray *frames)
{
  const struct heap *from = translation->from;
  const struct heap_sample *sample = heap_sample(from, index);
  const uint32_t *source = heap_frames(from, sample);
  g_array_set_size(frames, sample->frame_count);
  for (uint32_t i = 0; i < sample->frame_count; i++) {
    uint32_t *location = &translation->locations[source[i]];
    if (*location == HEAP_NONE)
      *location = add_location(combiner, translation, source[i]);
    g_array_index(frames, uint32_t, i) = *location;
  }
  const double *variances = from->variances != NULL && from->values->len > 0
                                ? &g_array_index(from->variances, double, (size_t)index * from->types->len)
                                : NULL;
  heap_add_sample(combiner->heap, (const uint32_t *)(void *)frames->data, frames->len, heap_values(from, index),
                  variances);
  for (uint32_t i = 0; i < sample->label_count; i++) {
    const struct heap_label *label = &g_array_index(from->labels, struct heap_label, sample->first_label + i);
    heap_add_label(combiner->heap, label->key, label->text, label->number, label->unit);
  }
}

static void compact(struct combiner *combiner)
{
  GArray *sums = sums_of(combiner->heap);
  sums_apply(combiner->heap, sums);
  combiner->compacted = sums->len;
  g_array_free(sums, TRUE);
}

static void add_samples(struct combiner *combiner, const struct heap *from)
{
  struct translation translation = {.from = from};
  translation.mappings = g_new(uint32_t, from->mappings->len);
  translation.functions = g_new(uint32_t, from->functions->len);
  translation.locations = g_new(uint32_t, from->locations->len);
  for (uint32_t i = 0; i < from->mappings->len; i++)
    translation.mappings[i] = add_mapping(combiner, heap_mapping(from, i));
  for (uint32_t i = 0; i < from->functions->len; i++)
    translation.functions[i] = heap_add_function(combiner->heap, *heap_function(from, i));
  for (uint32_t i = 0; i < from->locations->len; i++)
    translation.locations[i] = HEAP_NONE;
  GArray *frames = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  for (uint32_t i = 0; i < from->samples->len; i++)
    add_sample(combiner, &translation, i, frames);
  g_array_free(frames, TRUE);
  g_free(translation.mappings);
  g_free(translation.functions);
  g_free(translation.locations);
  if (combiner->heap->samples->len > MAX(COMPACT_LEAST, 2 * combiner->compacted))
    compact(combiner);
}

/* Heads. */

static bool is_same_type(const struct heap_type *one, const struct heap_type *other)
{
  return strcmp(one->name, other->name) == 0 && strcmp(one->unit, other->unit) == 0;
}

static bool refuse_type(GError **error, const char *what, const struct heap *one, const struct heap_type *type,
                        const struct heap *other, const struct heap_type *other_type)
{
  g_set_error(error, COMBINE_ERROR, 0, "%s has %s '%s' in '%s' where %s has '%s' in '%s': they cannot be added",
              other->name, what, other_type->name, other_type->unit, one->name, type->name, type->unit);
  return false;
}

static bool refuse_count(GError **error, const struct heap *one, const struct heap *other)
{
  g_set_error(error, COMBINE_ERROR, 0, "%s has %u values for each stack where %s has %u: they cannot be added",
              other->name, other->types->len, one->name, one->types->len);
  return false;
}

/* All from there on. */
static bool are_of_peak(const struct heap *heap, uint32_t first)
{
  bool all = true;
  for (uint32_t i = first; i < heap->types->len; i++)
    all = all && heap_is_of_peak(heap_type(heap, i));
  return all;
}

/* One of them may lack the peak: those of version 0.1.0 do. */
static bool is_alike(const struct heap *one, const struct heap *other, GError **error)
{
  uint32_t both = MIN(one->types->len, other->types->len);
  for (uint32_t i = 0; i < both; i++)
    if (!is_same_type(heap_type(one, i), heap_type(other, i)))
      return refuse_type(error, "values of", one, heap_type(one, i), other, heap_type(other, i));
  if (both == 0 ? one->types->len != other->types->len : !are_of_peak(one, both) || !are_of_peak(other, both))
    return refuse_count(error, one, other);
  if (!is_same_type(&one->period_type, &other->period_type))
    return refuse_type(error, "a period of", one, &one->period_type, other, &other->period_type);
  return true;
}

static void take_text(struct heap *heap, const char **text, const char *from)
{
  if ((*text)[0] == '\0')
    *text = heap_text(heap, from);
}

static void begin(struct combiner *combiner, const struct heap *first)
{
  struct heap *heap = combiner->heap = heap_new(first->name);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  for (uint32_t i = 0; i < first->types->len; i++) {
    struct heap_type type = {heap_text(heap, heap_type(first, i)->name), heap_text(heap, heap_type(first, i)->unit)};
    g_array_append_val(heap->types, type);
  }
  heap->period_type =
      (struct heap_type){heap_text(heap, first->period_type.name), heap_text(heap, first->period_type.unit)};
}

static void add_head(struct heap *heap, const struct heap *from)
{
  take_text(heap, &heap->default_type, from->default_type);
  take_text(heap, &heap->drop_frames, from->drop_frames);
  take_text(heap, &heap->keep_frames, from->keep_frames);
  take_text(heap, &heap->doc_url, from->doc_url);
  heap->period = MAX(heap->period, from->period);
  if (heap->time_unix_ns == 0 || (from->time_unix_ns != 0 && from->time_unix_ns < heap->time_unix_ns))
    heap->time_unix_ns = from->time_unix_ns;
  if (__builtin_add_overflow(heap->duration_ns, from->duration_ns, &heap->duration_ns))
    heap->duration_ns = INT64_MAX;
}

/* The whole. */

struct combiner *combiner_new(void)
{
  struct combiner *combiner = g_new0(struct combiner, 1);
  combiner->comments = comment_sums_new();
  combiner->mappings = g_hash_table_new_full(hash_mapping, is_same_mapping, g_free, NULL);
  combiner->locations = g_hash_table_new_full(hash_location, is_same_location, g_free, NULL);
  combiner->file_locations = g_hash_table_new(hash_address, NULL);
  combiner->layout = layout_new();
  return combiner;
}

bool combiner_add(struct combiner *combiner, const struct heap *heap, GError **error)
{
  if (combiner->heap == NULL)
    begin(combiner, heap);
  else if (!is_alike(combiner->heap, heap, error))
    return false;
  heap_keep_types(combiner->heap, heap->types->len);
  add_head(combiner->heap, heap);
  add_samples(combiner, heap);
  comment_sums_add(combiner->comments, heap);
  combiner->lacks_variances |= heap->variances == NULL;
  return true;
}

static void finish(struct combiner *combiner)
{
  struct heap *heap = combiner->heap;
  compact(combiner);
  if (combiner->lacks_variances) {
    g_array_free(heap->variances, TRUE);
    heap->variances = NULL;
  }
  comment_sums_apply(combiner->comments, heap);
}

struct heap *combiner_end(struct combiner *combiner)
{
  struct heap *heap = combiner->heap;
  if (heap != NULL)
    finish(combiner);
  comment_sums_free(combiner->comments);
  g_hash_table_destroy(combiner->mappings);
  g_hash_table_destroy(combiner->locations);
  g_hash_table_destroy(combiner->file_locations);
  layout_free(combiner->layout);
  g_free(combiner);
  return heap;
}
