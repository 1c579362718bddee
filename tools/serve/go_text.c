/* SPDX-License-Identifier: MIT */
#include "tools/serve/go_text.h"

#include "tools/heap/sums.h"
#include "tools/terminal/say.h"

#include <math.h>

enum { ALLOC_OBJECTS, ALLOC_SPACE, INUSE_OBJECTS, INUSE_SPACE };

/* "2: 528" */
struct counts {
  double objects, bytes;
};

/* Of samples, so that a reader who multiplies them arrives at the estimates. */
static struct counts counts_of(int64_t objects, int64_t bytes, int64_t interval)
{
  if (objects <= 0 || bytes <= 0)
    return (struct counts){0, 0};
  double share = interval > 1 ? -expm1(-((double)bytes / (double)objects) / (double)interval) : 1;
  struct counts counts = {fmax(round((double)objects * share), 1), 0};
  counts.bytes = round((double)bytes * counts.objects / (double)objects);
  return counts;
}

static struct counts in_use_of(const struct heap *heap, const struct sum *sum)
{
  return counts_of(sum->values[INUSE_OBJECTS], sum->values[INUSE_SPACE], heap->period);
}

static struct counts allocated_of(const struct heap *heap, const struct sum *sum)
{
  return counts_of(sum->values[ALLOC_OBJECTS], sum->values[ALLOC_SPACE], heap->period);
}

static void append_counts(GString *text, struct counts in_use, struct counts allocated)
{
  g_string_append_printf(text, "%.0f: %.0f [%.0f: %.0f] @", in_use.objects, in_use.bytes, allocated.objects,
                         allocated.bytes);
}

static void append_header(GString *text, const struct heap *heap, const GArray *sums)
{
  struct counts in_use = {0, 0}, allocated = {0, 0};
  for (guint i = 0; i < sums->len; i++) {
    struct counts one = in_use_of(heap, sums_at(sums, i)), other = allocated_of(heap, sums_at(sums, i));
    in_use = (struct counts){in_use.objects + one.objects, in_use.bytes + one.bytes};
    allocated = (struct counts){allocated.objects + other.objects, allocated.bytes + other.bytes};
  }
  g_string_append(text, "heap profile: ");
  append_counts(text, in_use, allocated);
  g_string_append_printf(text, " heap/%" G_GINT64_FORMAT "\n", 2 * heap->period);
}

/* A name ends with a tab. */
static char *field(const char *text)
{
  char *shown = printable(text);
  return g_strdelimit(shown, "\t", ' ');
}

/* How far into the function is not told. */
static void append_frame(GString *text, const struct heap *heap, const struct heap_location *location)
{
  for (uint32_t i = 0; i < location->line_count; i++) {
    const struct heap_line *line = heap_lines(heap, location) + i;
    if (line->function == HEAP_NONE)
      continue;
    const struct heap_function *function = heap_function(heap, line->function);
    g_autofree char *name = field(function->name), *file = field(function->file);
    g_string_append_printf(text, "#\t0x%" G_GINT64_MODIFIER "x\t%s+0x0\t%s:%" G_GINT64_FORMAT "\n", location->address,
                           name, file[0] != '\0' ? file : "?", line->line);
  }
}

/* Readers take the addresses for those that a call returns to. */
static void append_stack(GString *text, const struct heap *heap, const struct sum *sum)
{
  const struct heap_sample *sample = heap_sample(heap, sum->sample);
  const uint32_t *frames = heap_frames(heap, sample);
  append_counts(text, in_use_of(heap, sum), allocated_of(heap, sum));
  for (uint32_t i = 0; i < sample->frame_count; i++)
    g_string_append_printf(text, " 0x%" G_GINT64_MODIFIER "x", heap_location(heap, frames[i])->address + 1);
  g_string_append_c(text, '\n');
  for (uint32_t i = 0; i < sample->frame_count; i++)
    append_frame(text, heap, heap_location(heap, frames[i]));
  g_string_append_c(text, '\n');
}

static int compare_in_use(gconstpointer a, gconstpointer b)
{
  int64_t one = (*(const struct sum *const *)a)->values[INUSE_SPACE];
  int64_t other = (*(const struct sum *const *)b)->values[INUSE_SPACE];
  return (other > one) - (other < one);
}

static void append_mappings(GString *text, const struct heap *heap)
{
  g_string_append(text, "MAPPED_LIBRARIES:\n");
  for (uint32_t i = 0; i < heap->mappings->len; i++) {
    const struct heap_mapping *mapping = heap_mapping(heap, i);
    g_autofree char *path = printable(mapping->path);
    g_string_append_printf(
        text, "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x r-xp %08" G_GINT64_MODIFIER "x 00:00 0 %s\n",
        mapping->start, mapping->limit, mapping->file_offset, path);
  }
}

GString *go_text(const struct heap *heap)
{
  GString *text = g_string_new(NULL);
  g_autoptr(GArray) sums = sums_of(heap);
  g_autoptr(GPtrArray) sorted = g_ptr_array_new();
  for (guint i = 0; i < sums->len; i++)
    g_ptr_array_add(sorted, (gpointer)(uintptr_t)sums_at(sums, i));
  g_ptr_array_sort(sorted, compare_in_use);
  append_header(text, heap, sums);
  for (guint i = 0; i < sorted->len; i++)
    append_stack(text, heap, g_ptr_array_index(sorted, i));
  append_mappings(text, heap);
  return text;
}
