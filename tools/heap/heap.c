/* SPDX-License-Identifier: MIT */
#include "tools/heap/heap.h"

#include "core/comments.h"

#include "tools/heap/intern.h"

#include <stdarg.h>
#include <string.h>

static const char comment_start[] = COMMENT_START;

/* Never without memory: the address behind the last element must be valid. */
static GArray *new_array(guint element_bytes)
{
  return g_array_sized_new(FALSE, TRUE, element_bytes, 1);
}

struct heap *heap_new(const char *name)
{
  struct heap *heap = g_new0(struct heap, 1);
  heap->strings = g_string_chunk_new(64 << 10);
  heap->types = new_array(sizeof(struct heap_type));
  heap->mappings = new_array(sizeof(struct heap_mapping));
  heap->functions = new_array(sizeof(struct heap_function));
  heap->lines = new_array(sizeof(struct heap_line));
  heap->locations = new_array(sizeof(struct heap_location));
  heap->frames = new_array(sizeof(uint32_t));
  heap->labels = new_array(sizeof(struct heap_label));
  heap->samples = new_array(sizeof(struct heap_sample));
  heap->values = new_array(sizeof(int64_t));
  heap->comments = g_ptr_array_new();
  heap->function_index = intern_index_new();
  heap->name = heap_text(heap, name);
  heap->default_type = heap->drop_frames = heap->keep_frames = heap->doc_url = heap_text(heap, "");
  heap->period_type = (struct heap_type){heap_text(heap, ""), heap_text(heap, "")};
  return heap;
}

void heap_free(struct heap *heap)
{
  if (heap == NULL)
    return;
  GArray *arrays[] = {heap->types,  heap->mappings, heap->functions, heap->lines, heap->locations,
                      heap->frames, heap->labels,   heap->samples,   heap->values};
  for (size_t i = 0; i < G_N_ELEMENTS(arrays); i++)
    g_array_free(arrays[i], TRUE);
  if (heap->variances != NULL)
    g_array_free(heap->variances, TRUE);
  if (heap->places != NULL)
    g_array_free(heap->places, TRUE);
  g_ptr_array_free(heap->comments, TRUE);
  g_hash_table_destroy(heap->function_index);
  g_string_chunk_free(heap->strings);
  g_free(heap);
}

const char *heap_text(struct heap *heap, const char *text)
{
  return intern_text(heap->strings, text);
}

const char *heap_text_of_bytes(struct heap *heap, const char *bytes, size_t size)
{
  g_autofree char *valid =
      g_utf8_validate(bytes, (gssize)size, NULL) ? g_strndup(bytes, size) : g_utf8_make_valid(bytes, (gssize)size);
  return g_string_chunk_insert_const(heap->strings, valid);
}

static void add_types(struct heap *heap, const struct heap_type *types, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct heap_type type = {heap_text(heap, types[i].name), heap_text(heap, types[i].unit)};
    g_array_append_val(heap->types, type);
  }
}

void heap_set_usual_types(struct heap *heap)
{
  static const struct heap_type usual[] = {
      {"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}};
  add_types(heap, usual, G_N_ELEMENTS(usual));
  heap->default_type = heap_text(heap, "inuse_space");
  heap->period_type = (struct heap_type){heap_text(heap, "space"), heap_text(heap, "bytes")};
}

void heap_add_peak_types(struct heap *heap)
{
  static const struct heap_type peak[] = {{"peak_objects", "count"}, {HEAP_PEAK_SPACE, "bytes"}};
  add_types(heap, peak, G_N_ELEMENTS(peak));
}

bool heap_is_of_peak(const struct heap_type *type)
{
  return g_str_has_prefix(type->name, "peak_");
}

static void keep_columns(GArray *array, uint32_t rows, uint32_t columns, uint32_t kept)
{
  guint size = g_array_get_element_size(array);
  for (uint32_t i = 0; i < rows; i++)
    memmove(array->data + (size_t)i * kept * size, array->data + (size_t)i * columns * size, (size_t)kept * size);
  g_array_set_size(array, rows * kept);
}

void heap_keep_types(struct heap *heap, uint32_t count)
{
  uint32_t types = heap->types->len;
  if (count >= types)
    return;
  keep_columns(heap->values, heap->samples->len, types, count);
  if (heap->variances != NULL)
    keep_columns(heap->variances, heap->samples->len, types, count);
  g_array_set_size(heap->types, count);
}

uint32_t heap_add_mapping(struct heap *heap, struct heap_mapping mapping)
{
  mapping.path = heap_text(heap, mapping.path);
  mapping.build_id = heap_text(heap, mapping.build_id);
  g_array_append_val(heap->mappings, mapping);
  return heap->mappings->len - 1;
}

uint32_t heap_add_location(struct heap *heap, uint64_t address, uint32_t mapping)
{
  struct heap_location location = {.address = address, .mapping = mapping};
  g_array_append_val(heap->locations, location);
  return heap->locations->len - 1;
}

uint32_t heap_add_function(struct heap *heap, struct heap_function function)
{
  return intern_function(heap->function_index, heap->functions, heap->strings, function);
}

void heap_set_lines(struct heap *heap, uint32_t location, const struct heap_line *lines, uint32_t count)
{
  struct heap_location *changed = heap_location(heap, location);
  changed->first_line = heap->lines->len;
  changed->line_count = count;
  g_array_append_vals(heap->lines, lines, count);
}

uint32_t heap_add_sample(struct heap *heap, const uint32_t *frames, uint32_t frame_count, const int64_t *values,
                         const double *variances)
{
  uint32_t first_frame = heap->frames->len;
  g_array_append_vals(heap->frames, frames, frame_count);
  return heap_add_sample_of(heap, first_frame, frame_count, values, variances);
}

uint32_t heap_add_sample_of(struct heap *heap, uint32_t first_frame, uint32_t frame_count, const int64_t *values,
                            const double *variances)
{
  struct heap_sample sample = {
      .first_frame = first_frame, .frame_count = frame_count, .first_label = heap->labels->len};
  g_array_append_vals(heap->values, values, heap->types->len);
  if (heap->variances != NULL && variances != NULL)
    g_array_append_vals(heap->variances, variances, heap->types->len);
  else if (heap->variances != NULL)
    g_array_set_size(heap->variances, heap->values->len);
  g_array_append_val(heap->samples, sample);
  return heap->samples->len - 1;
}

void heap_take_frames(struct heap *heap, GArray *frames)
{
  g_array_free(heap->frames, TRUE);
  heap->frames = frames;
}

void heap_add_label(struct heap *heap, const char *key, const char *text, int64_t number, const char *unit)
{
  struct heap_label label = {heap_text(heap, key), heap_text(heap, text), heap_text(heap, unit), number};
  g_array_append_val(heap->labels, label);
  heap_sample(heap, heap->samples->len - 1)->label_count++;
}

void heap_add_comment(struct heap *heap, const char *key, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *value = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *line = g_strconcat(comment_start, key, ": ", value, NULL);
  g_ptr_array_add(heap->comments, (char *)(uintptr_t)heap_text(heap, line));
}

const char *heap_comment(const struct heap *heap, const char *key)
{
  size_t length = strlen(key);
  for (uint32_t i = 0; i < heap->comments->len; i++) {
    const char *line = g_ptr_array_index(heap->comments, i);
    if (!g_str_has_prefix(line, comment_start))
      continue;
    line += sizeof comment_start - 1;
    if (strncmp(line, key, length) == 0 && strncmp(line + length, ": ", 2) == 0)
      return line + length + 2;
  }
  return NULL;
}

bool heap_comment_number(const struct heap *heap, const char *key, uint64_t *number)
{
  const char *text = heap_comment(heap, key);
  return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, UINT64_MAX, number, NULL);
}

static int find_exact_type(const struct heap *heap, const char *name)
{
  for (uint32_t i = 0; i < heap->types->len; i++)
    if (strcmp(heap_type(heap, i)->name, name) == 0)
      return (int)i;
  return -1;
}

/* As pprof finds it, and the other way round as well: "inuse_space" is the "space" of a profile that has no other,
 * and "space" the "inuse_space". */
int heap_find_type(const struct heap *heap, const char *name)
{
  static const char prefix[] = "inuse_";
  if (heap->types->len == 0)
    return -1;
  if (name == NULL || name[0] == '\0') {
    int type = find_exact_type(heap, heap->default_type);
    return type >= 0 ? type : (int)heap->types->len - 1;
  }
  int type = find_exact_type(heap, name);
  if (type >= 0)
    return type;
  if (g_str_has_prefix(name, prefix))
    return find_exact_type(heap, name + sizeof prefix - 1);
  g_autofree char *in_use = g_strconcat(prefix, name, NULL);
  return find_exact_type(heap, in_use);
}

char *heap_type_names(const struct heap *heap)
{
  GString *names = g_string_new(NULL);
  for (uint32_t i = 0; i < heap->types->len; i++)
    g_string_append_printf(names, "%s%s", i == 0 ? "" : ", ", heap_type(heap, i)->name);
  return g_string_free(names, FALSE);
}
