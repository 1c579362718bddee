/* SPDX-License-Identifier: MIT */
#include "tools/views/facts_json.h"

#include "core/comments.h"

#include "tools/terminal/quantity.h"
#include "tools/views/rows_json.h"

static void set(json_t *object, const char *key, json_t *value)
{
  (void)json_object_set_new(object, key, value);
}

static json_t *address(uint64_t number)
{
  return json_sprintf("0x%" G_GINT64_MODIFIER "x", number); /* not every reader of JSON has 64 bits */
}

/* The values of a comment, one for each profile that was merged into this. */
static void set_comments(json_t *object, const char *name, const struct heap *heap, const char *key)
{
  g_autoptr(GPtrArray) values = facts_comments(heap, key);
  json_t *array = json_array();
  for (guint i = 0; i < values->len; i++)
    (void)json_array_append_new(array, json_string(g_ptr_array_index(values, i)));
  set(object, name, array);
}

/* null: the profile does not tell. */
static void set_comment_number(json_t *object, const char *name, const struct heap *heap, const char *key)
{
  uint64_t number;
  set(object, name, heap_comment_number(heap, key, &number) ? rows_json_number((double)number) : json_null());
}

static json_t *totals_of(const struct facts *facts)
{
  json_t *array = json_array();
  for (uint32_t i = 0; i < facts->heap->types->len; i++) {
    const struct fact_total *total = &facts->totals[i];
    json_t *object = json_object();
    set(object, "type", json_string(total->type));
    set(object, "unit", json_string(total->unit));
    set(object, "total", rows_json_number(total->value));
    set(object, "total_error",
        total->is_certainty_known ? rows_json_number(quantity_half_width(total->variance)) : json_null());
    set(object, "cut", rows_json_cut(&total->cut));
    (void)json_array_append_new(array, object);
  }
  return array;
}

static json_t *losses_of(const struct facts *facts)
{
  json_t *object = json_object();
  for (guint i = 0; i < facts->losses->len; i++) {
    const struct fact_loss *loss = &g_array_index(facts->losses, struct fact_loss, i);
    set(object, loss->key, rows_json_number((double)loss->count));
  }
  return object;
}

static json_t *mappings_of(const struct facts *facts)
{
  json_t *array = json_array();
  for (guint i = 0; i < facts->mappings->len; i++) {
    const struct fact_mapping *counts = &g_array_index(facts->mappings, struct fact_mapping, i);
    json_t *object = json_object();
    set(object, "path", json_string(counts->mapping->path));
    set(object, "build_id", json_string(counts->mapping->build_id));
    set(object, "start", address(counts->mapping->start));
    set(object, "limit", address(counts->mapping->limit));
    set(object, "file_offset", address(counts->mapping->file_offset));
    set(object, "locations", json_integer(counts->locations));
    set(object, "named", json_integer(counts->named));
    set(object, "with_lines", json_integer(counts->with_lines));
    set(object, "with_inlined_frames", json_integer(counts->with_inlines));
    (void)json_array_append_new(array, object);
  }
  return array;
}

static void set_process(json_t *object, const struct heap *heap)
{
  static const struct {
    const char *name, *key;
  } texts[] = {{"programs", COMMENT_program},     {"pids", COMMENT_pid},
               {"commands", COMMENT_command},     {"reasons", COMMENT_reason},
               {"allocators", COMMENT_allocator}, {"hooks", COMMENT_hooks},
               {"unwinders", COMMENT_unwinder},   {"inert", COMMENT_inert},
               {"since", COMMENT_since},          {"uncovered", COMMENT_uncovered},
               {"merged", COMMENT_merged}},
    numbers[] = {{"sampling_interval_bytes", COMMENT_sampling_interval_bytes},
                 {"created_unix_ns", COMMENT_created_unix_ns},
                 {"samples", COMMENT_samples},
                 {"exact_units", COMMENT_exact_units},
                 {"estimated_units", COMMENT_estimated_units},
                 {"peak_inuse_space", COMMENT_peak_inuse_space},
                 {"uncovered_objects", COMMENT_uncovered_objects},
                 {"own_bytes", COMMENT_own_bytes},
                 {"own_unused_bytes", COMMENT_own_unused_bytes},
                 {"sampling_ns", COMMENT_sampling_ns},
                 {"cpu_ns", COMMENT_cpu_ns},
                 {"resident_bytes", COMMENT_resident_bytes},
                 {"resident_most_bytes", COMMENT_resident_most_bytes}};
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
    set_comments(object, texts[i].name, heap, texts[i].key);
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
    set_comment_number(object, numbers[i].name, heap, numbers[i].key);
}

static json_t *exact_part(const struct facts *facts, uint64_t part)
{
  return facts->has_exact_parts ? json_integer((json_int_t)part) : json_null();
}

json_t *facts_json(const struct facts *facts)
{
  const struct heap *heap = facts->heap;
  json_t *object = json_object();
  set(object, "profile", json_string(heap->name));
  set_process(object, heap);
  set(object, "time_unix_ns", json_integer(heap->time_unix_ns));
  set(object, "duration_ns", json_integer(heap->duration_ns));
  set(object, "period", json_integer(heap->period));
  set(object, "period_type", json_string(heap->period_type.name));
  set(object, "period_unit", json_string(heap->period_type.unit));
  set(object, "default_type", json_string(heap->default_type));
  set(object, "values", totals_of(facts));
  set(object, "exact_bytes", exact_part(facts, facts->exact_bytes));
  set(object, "exact_objects", exact_part(facts, facts->exact_objects));
  set(object, "estimated_units_error",
      facts->units_error >= 0 ? rows_json_number(quantity_half_width(facts->units_error * facts->units_error))
                              : json_null());
  set(object, "stacks", json_integer(heap->samples->len));
  set(object, "deepest_stack", json_integer(facts->deepest));
  set(object, "locations", json_integer(heap->locations->len));
  set(object, "functions", json_integer(heap->functions->len));
  set(object, "lost", losses_of(facts));
  set(object, "mappings", mappings_of(facts));
  return object;
}
