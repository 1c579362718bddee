/* SPDX-License-Identifier: MIT */
#include "tools/heap/legacy.h"

#include "core/allocation_names.h"
#include "core/comments.h"
#include "tools/heap/legacy_reader.h"

#include <string.h>

enum { QUOTED_MAX = 60 };

/* As they are called where an allocator is linked into the program, and in Go. */
#define DROP_FRAMES                                                                                                    \
  ALLOCATION_DROP_FRAMES                                                                                               \
  "|(je_|_rjem_|_rjem_je_)?(prof_(backtrace(_impl)?|tctx_create|alloc_prep)|imalloc(_body|_sample|_no_sample)?|"       \
  "malloc_default|do_rallocx|irallocx_prof(_sample)?|ialloc_prof|mallocx|rallocx|xallocx|malloc|calloc|realloc|"       \
  "aligned_alloc|posix_memalign|memalign|valloc)"                                                                      \
  "|tcmalloc::.*|tc_(malloc|calloc|realloc|memalign|new|newarray)\\w*|do_(malloc|memalign|realloc)\\w*|"               \
  "DoSampledAllocation|runtime\\..*"
#define KEEP_FRAMES "runtime\\.(go)?panic|runtime\\.reflectcall|runtime\\.call[0-9]*"

static const char java_start[] = "--- heapz 1 ---";

/* Problems. */

bool legacy_refuse(struct legacy_reader *reader, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  if (reader->problem == NULL)
    reader->problem = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return false;
}

bool legacy_refuse_line(struct legacy_reader *reader, const struct legacy_line *line, const char *expected)
{
  size_t length = legacy_line_length(line);
  g_autofree char *start = g_strndup(line->position, MIN(length, QUOTED_MAX)), *quoted = g_strescape(start, NULL);
  return legacy_refuse(reader, "line %u: \"%s%s\" is not %s", reader->text.line_number, quoted,
                       length > QUOTED_MAX ? "..." : "", expected);
}

/* Samples. */

static void add_type(struct heap *heap, const char *name, const char *unit)
{
  struct heap_type type = {heap_text(heap, name), heap_text(heap, unit)};
  g_array_append_val(heap->types, type);
}

void legacy_set_types(struct legacy_reader *reader, const char *objects, const char *space, const char *unit)
{
  struct heap *heap = reader->heap;
  if (reader->has_allocated) {
    heap_set_usual_types(heap);
  } else {
    add_type(heap, objects, "count");
    add_type(heap, space, unit);
    heap->default_type = heap_type(heap, 1)->name;
  }
  heap->period_type = (struct heap_type){heap_text(heap, "space"), heap_text(heap, "bytes")};
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
}

bool legacy_add_frames(struct legacy_reader *reader, struct legacy_line line, bool is_call)
{
  while (!legacy_line_is_empty(&line)) {
    uint64_t address;
    if (!legacy_line_take_hex(&line, &address))
      return false;
    legacy_stacks_add_frame(reader->stacks, address - (address > 0 && !is_call));
  }
  return true;
}

static void set_values(struct legacy_reader *reader, const struct legacy_counts *counts, int64_t *values,
                       double *variances)
{
  struct legacy_estimate estimate = legacy_estimate(counts->objects, counts->bytes, &reader->sampling);
  values[0] = estimate.objects;
  values[1] = estimate.bytes;
  variances[0] = estimate.variance_objects;
  variances[1] = estimate.variance_bytes;
  reader->has_unknown_variance |= !estimate.is_certainty_known;
}

static bool is_sound(const struct legacy_counts *counts)
{
  return counts->objects != 0 || counts->bytes == 0;
}

bool legacy_add_sample(struct legacy_reader *reader, const struct legacy_row *row)
{
  int64_t values[4];
  double variances[4];
  uint32_t in_use = 0;
  if (!is_sound(&row->in_use) || (reader->has_allocated && !is_sound(&row->allocated)))
    return legacy_refuse(reader, "line %u: no objects, but %" G_GINT64_FORMAT " bytes of them",
                         reader->text.line_number, is_sound(&row->in_use) ? row->allocated.bytes : row->in_use.bytes);
  if (reader->has_allocated) {
    set_values(reader, &row->allocated, values, variances);
    in_use = 2;
  }
  set_values(reader, &row->in_use, values + in_use, variances + in_use);
  legacy_stacks_end(reader->stacks, values, variances);
  const struct legacy_counts *sized =
      row->in_use.objects != 0 || !reader->has_allocated ? &row->in_use : &row->allocated;
  if (sized->objects != 0 && sized->bytes / sized->objects != 0)
    heap_add_label(reader->heap, "bytes", "", sized->bytes / sized->objects, "bytes");
  return true;
}

/* Frames that are the allocator's. */

static bool is_allocator(const struct heap *heap, uint32_t location)
{
  static const char *const libraries[] = {"libjemalloc", "libtcmalloc"};
  uint32_t mapping = heap_location(heap, location)->mapping;
  if (mapping == HEAP_NONE)
    return false;
  const char *path = heap_mapping(heap, mapping)->path, *slash = strrchr(path, '/');
  for (size_t i = 0; i < G_N_ELEMENTS(libraries); i++)
    if (slash != NULL && g_str_has_prefix(slash + 1, libraries[i]))
      return true;
  return false;
}

/* One frame always stays. */
static void strip_allocators(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    struct heap_sample *sample = heap_sample(heap, i);
    while (sample->frame_count > 1 && is_allocator(heap, heap_frames(heap, sample)[0])) {
      sample->first_frame++;
      sample->frame_count--;
    }
  }
}

/* The whole. */

static bool has_start(const uint8_t *bytes, size_t size, const char *start)
{
  return size >= strlen(start) && memcmp(bytes, start, strlen(start)) == 0;
}

bool legacy_is_profile(const uint8_t *bytes, size_t size)
{
  return has_start(bytes, size, "heap profile:") || has_start(bytes, size, "heap_v2/") ||
         has_start(bytes, size, java_start);
}

static void finish(struct legacy_reader *reader)
{
  struct heap *heap = reader->heap;
  strip_allocators(heap);
  heap->is_of_text = true;
  heap->drop_frames = heap_text(heap, DROP_FRAMES);
  heap->keep_frames = heap_text(heap, KEEP_FRAMES);
  if (reader->sampling.interval_bytes > 0)
    heap_add_comment(heap, COMMENT_sampling_interval_bytes, "%" G_GINT64_FORMAT, reader->sampling.interval_bytes);
  if (reader->has_unknown_variance) {
    g_array_unref(heap->variances);
    heap->variances = NULL;
  }
}

struct heap *legacy_load(const uint8_t *bytes, size_t size, const char *name, GError **error)
{
  const char *text = (const char *)bytes;
  struct legacy_reader reader = {.text = {text, text + size, 0}, .heap = heap_new(name)};
  reader.stacks = legacy_stacks_new(reader.heap);
  bool is_read = has_start(bytes, size, java_start) ? legacy_read_java(&reader) : legacy_read_rows(&reader);
  if (is_read) {
    finish(&reader);
  } else {
    g_set_error(error, LEGACY_ERROR, 0, "%s is not a heap profile, or is damaged: %s", name, reader.problem);
    g_clear_pointer(&reader.heap, heap_free);
  }
  legacy_stacks_free(reader.stacks);
  g_free(reader.problem);
  return reader.heap;
}
