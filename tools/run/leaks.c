/* SPDX-License-Identifier: MIT */
#include "tools/run/leaks.h"

#include "core/inherited.h"
#include "tools/filter/kept.h"
#include "tools/heap/stand_in.h"
#include "tools/source/source.h"
#include "tools/symbols/jump_sources.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/views/view.h"

#include <string.h>

static bool is_inherited(const struct heap *heap, const struct heap_sample *sample)
{
  for (uint32_t i = 0; i < sample->label_count; i++)
    if (strcmp(g_array_index(heap->labels, struct heap_label, sample->first_label + i).key, INHERITED_LABEL) == 0)
      return true;
  return false;
}

static void forget(struct heap *heap, uint32_t sample)
{
  for (uint32_t type = 0; type < heap->types->len; type++) {
    heap_values(heap, sample)[type] = 0;
    if (heap->variances != NULL)
      g_array_index(heap->variances, double, (size_t)sample * heap->types->len + type) = 0;
  }
}

/* What is the parent's is for the parent to free. */
static void forget_inherited(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (is_inherited(heap, heap_sample(heap, i)))
      forget(heap, i);
}

static double value_of(const struct heap *heap, uint32_t sample, const char *type)
{
  int index = heap_find_type(heap, type);
  return index >= 0 ? (double)heap_values(heap, sample)[index] : 0;
}

static bool are_keepers(const GPtrArray *names)
{
  bool all = names != NULL && names->len > 0;
  for (guint i = 0; all && i < names->len; i++)
    all = kept_is_keeper(g_ptr_array_index(names, i));
  return all;
}

/* What is done for functions that keep memory, and for no others, is called as one of them. */
static void name_by_jumps(struct heap *heap, const struct heap_mapping *library)
{
  g_autoptr(GArray) starts = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  uint64_t start;
  for (uint32_t i = 0; i < heap->functions->len; i++)
    if (stand_in_start(heap_function(heap, i)->name, library->path, &start))
      g_array_append_val(starts, start);
  GHashTable *sources =
      starts->len > 0 ? jump_sources_find(library->path, library->build_id, (const uint64_t *)starts->data, starts->len)
                      : NULL;
  for (uint32_t i = 0; sources != NULL && i < heap->functions->len; i++) {
    struct heap_function *function = heap_function(heap, i);
    const GPtrArray *names =
        stand_in_start(function->name, library->path, &start) ? g_hash_table_lookup(sources, &start) : NULL;
    if (are_keepers(names))
      function->name = heap_text(heap, g_ptr_array_index(names, 0));
  }
  if (sources != NULL)
    g_hash_table_unref(sources);
}

static void name_nameless(struct heap *heap)
{
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    if (kept_is_library(heap_mapping(heap, i)->path))
      name_by_jumps(heap, heap_mapping(heap, i));
}

static void forget_kept(struct heap *heap, struct leaks_left_out *left_out)
{
  g_autofree bool *kept = kept_of(heap);
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (kept[i]) {
      left_out->kept_bytes += value_of(heap, i, "inuse_space");
      left_out->kept_objects += value_of(heap, i, "inuse_objects");
      forget(heap, i);
    }
}

/* A filter has left them empty; where nothing was cut away, no stack is. */
static void forget_ignored(struct heap *heap, const struct filter *filter, struct leaks_left_out *left_out)
{
  for (uint32_t i = 0; i < heap->samples->len && filter != NULL; i++)
    if (heap_sample(heap, i)->frame_count == 0) {
      left_out->ignored_bytes += value_of(heap, i, "inuse_space");
      left_out->ignored_objects += value_of(heap, i, "inuse_objects");
    }
  filter_drop_empty(filter, heap);
}

static void sum_up(const struct heap *heap, const char *type, struct leaks_sum *sum)
{
  struct rows *rows = rows_of(heap, heap_find_type(heap, type), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  sum->value = rows->total;
  sum->variance = rows->total_variance;
  if (rows->rows->len > 0) {
    const struct row *row = &g_array_index(rows->rows, struct row, 0);
    g_autofree char *name = view_row_name(row);
    g_strlcpy(sum->site, name, sizeof sum->site);
    sum->of_site = row->flat;
  }
  rows_free(rows);
}

void leaks_measure(struct heap *heap, const struct filter *filter, struct leaks *leaks)
{
  source_drop_frames(heap);
  forget_inherited(heap);
  name_nameless(heap);
  filter_apply(NULL, heap, NULL);
  forget_kept(heap, &leaks->left_out);
  filter_apply(filter, heap, NULL);
  forget_ignored(heap, filter, &leaks->left_out);
  sum_up(heap, "inuse_space", &leaks->bytes);
  sum_up(heap, "inuse_objects", &leaks->objects);
}

void leaks_add_left_out(struct leaks_left_out *sum, const struct leaks_left_out *left_out)
{
  sum->kept_bytes += left_out->kept_bytes;
  sum->kept_objects += left_out->kept_objects;
  sum->ignored_bytes += left_out->ignored_bytes;
  sum->ignored_objects += left_out->ignored_objects;
}

static void append_part(GString *text, double bytes, double objects, const char *what)
{
  if (objects > 0)
    g_string_append_printf(text, "%s%s in %s object%s %s", text->len > 0 ? ", and " : "", quantity(bytes, "bytes").text,
                           quantity(objects, "count").text, objects == 1 ? "" : "s", what);
}

void leaks_tell(const struct leaks_left_out *left_out)
{
  g_autoptr(GString) text = g_string_new(NULL);
  append_part(text, left_out->kept_bytes, left_out->kept_objects, "that the C library keeps to its end");
  append_part(text, left_out->ignored_bytes, left_out->ignored_objects, "that --ignore leaves out");
  if (text->len > 0)
    say("not counted as leaked: %s", text->str);
}
