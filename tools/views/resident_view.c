/* SPDX-License-Identifier: MIT */
#include "tools/views/resident_view.h"

#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/views/json_field.h"
#include "tools/views/rows_json.h"
#include "tools/views/view.h"

#include <string.h>

/* What is shown apart: the allocator's memory is three things. */
struct shown_part {
  char sign;
  const char *key, *what;
  uint64_t bytes;
};

enum { SHOWN_PARTS = 8, USUAL_WIDTH = 80 };

/* Of what a process that was attached to had asked for before nothing is known: it lies among what is free, and in
 * mappings that malloc made for large objects. */
static void shown_parts(const struct target *target, const struct resident_memory *memory,
                        struct shown_part parts[SHOWN_PARTS])
{
  bool is_attached = region_summary_since(&target->summary) != NULL;
  const uint64_t *bytes = memory->sums.bytes;
  const struct shown_part all[SHOWN_PARTS] = {
      {'#', "in_use_bytes", is_attached ? "asked for since attach, and in use" : "asked for by the program, and in use",
       memory->in_use_bytes},
      {'+', "rounding_bytes", "rounding by the allocator", memory->rounding_bytes},
      {'-', "allocator_bytes",
       is_attached ? "asked for before attach, or free: not known" : "free in the allocator, and its own",
       memory->allocator_bytes},
      {'|', "stacks_bytes", "stacks", bytes[ACCOUNT_STACKS]},
      {'=', "files_bytes", "files: program, libraries, what is mapped of others", bytes[ACCOUNT_FILES]},
      {'o', "direct_bytes",
       is_attached ? "mapped directly, or asked for before attach: not known" : "mapped directly, not through malloc",
       bytes[ACCOUNT_DIRECT]},
      {'s', "shared_bytes", "shared memory", bytes[ACCOUNT_SHARED]},
      {'.', "profiler_bytes", "the profiler", bytes[ACCOUNT_OWN]},
  };
  memcpy(parts, all, sizeof all);
}

/* Each part ends where its share of the width does, so that the signs are as many as there are columns. */
static void append_bar(GString *text, const struct shown_part parts[SHOWN_PARTS], uint64_t total, int width)
{
  double before = 0;
  int drawn = 0;
  g_string_append_c(text, '[');
  for (unsigned i = 0; i < SHOWN_PARTS; i++) {
    before += (double)parts[i].bytes;
    int end = total > 0 ? (int)(before / (double)total * width + 0.5) : 0;
    for (; drawn < end; drawn++)
      g_string_append_c(text, parts[i].sign);
  }
  g_string_append(text, "]\n");
}

static void append_part(GString *text, char sign, const char *what, uint64_t bytes, uint64_t total)
{
  g_string_append_printf(text, "%12s %7s  %c %s\n", quantity((double)bytes, "bytes").text,
                         quantity_percentage((double)bytes, (double)total).text, sign, what);
}

static bool has_counters(const struct region_summary *summary)
{
  for (unsigned i = 0; i < ALLOCATOR_COUNTERS; i++)
    if (summary->allocator_counters[i] > 0)
      return true;
  return false;
}

static void append_notes(GString *text, const struct target *target, const struct resident_memory *memory)
{
  const struct region_summary *summary = &target->summary;
  const uint64_t *counters = summary->allocator_counters;
  if (memory->absent_bytes > 0)
    g_string_append_printf(text, "%s more was asked for and is not resident: never written to, or swapped out\n",
                           quantity((double)memory->absent_bytes, "bytes").text);
  if (memory->sums.swapped_bytes > 0)
    g_string_append_printf(text, "%s is swapped out\n", quantity((double)memory->sums.swapped_bytes, "bytes").text);
  if (has_counters(summary))
    g_string_append_printf(
        text,
        "when heapprof_dump was last called, the allocator said: allocated %s, active %s, metadata %s, retained %s\n",
        quantity((double)counters[COUNTER_allocated], "bytes").text,
        quantity((double)counters[COUNTER_active], "bytes").text,
        quantity((double)counters[COUNTER_metadata], "bytes").text,
        quantity((double)counters[COUNTER_retained], "bytes").text);
}

void resident_view_append(GString *text, const struct target *target, const struct resident_memory *memory, int width)
{
  struct shown_part parts[SHOWN_PARTS];
  uint64_t total = memory->sums.total_bytes;
  const char *since = region_summary_since(&target->summary);
  g_autofree char *program = shown_text(target->summary.program);
  shown_parts(target, memory, parts);
  g_string_append_printf(text, "%s, pid %d: %s resident, %s at most\n", program, target->pid,
                         quantity((double)total, "bytes").text,
                         quantity((double)MAX(memory->most_bytes, total), "bytes").text);
  if (since != NULL)
    g_string_append_printf(text, "Since: %s\n", since);
  append_bar(text, parts, total, CLAMP(width > 0 ? width : USUAL_WIDTH, 20, 2 * USUAL_WIDTH) - 2);
  for (unsigned i = 0; i < SHOWN_PARTS; i++)
    append_part(text, parts[i].sign, parts[i].what, parts[i].bytes, total);
  append_notes(text, target, memory);
}

/* Who asked for it. */

/* What each place has in use, by its number. */
static GHashTable *in_use_by_place(const struct rows *rows)
{
  GHashTable *found = g_hash_table_new(NULL, NULL);
  for (guint i = 0; i < rows->rows->len; i++) {
    struct row *row = &g_array_index(rows->rows, struct row, i);
    g_hash_table_insert(found, GUINT_TO_POINTER(row->place), row);
  }
  return found;
}

/* Rows by one value of a heap, beside what is in use there. */
struct owned {
  struct rows *values, *in_use;
  GHashTable *by_place; /* struct row * of in_use */
};

static void owned_begin(struct owned *owned, const struct heap *heap, const char *type)
{
  owned->values = rows_of(heap, heap_find_type(heap, type), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  owned->in_use = rows_of(heap, heap_find_type(heap, "inuse_space"), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  owned->by_place = in_use_by_place(owned->in_use);
}

static void owned_end(struct owned *owned)
{
  g_hash_table_destroy(owned->by_place);
  rows_free(owned->values);
  rows_free(owned->in_use);
}

/* NULL: there are no more that own any. */
static const struct row *owned_row(const struct owned *owned, uint32_t index, double *in_use_bytes)
{
  if (index >= owned->values->rows->len)
    return NULL;
  const struct row *row = &g_array_index(owned->values->rows, struct row, index),
                   *used = g_hash_table_lookup(owned->by_place, GUINT_TO_POINTER(row->place));
  *in_use_bytes = used != NULL ? used->flat : 0;
  return row->flat > 0 ? row : NULL;
}

/* A column with a value of the heap, how much it is of that and what is in use, or of what is in use, and that. */
struct owned_columns {
  const char *type, *value, *share, *in_use;
  bool is_part; /* of what is in use */
};

static void append_owned(GString *text, const struct heap *heap, const struct owned_columns *columns, uint32_t count,
                         int width, FILE *stream)
{
  struct owned owned;
  struct table *table = table_new();
  const struct row *row;
  double in_use_bytes;
  owned_begin(&owned, heap, columns->type);
  table_add_column(table, columns->value, TABLE_RIGHT);
  table_add_column(table, columns->share, TABLE_RIGHT);
  table_add_column(table, columns->in_use, TABLE_RIGHT);
  table_add_column(table, "", TABLE_LEFT);
  uint32_t shown = 0;
  for (; shown < count && (row = owned_row(&owned, shown, &in_use_bytes)) != NULL; shown++) {
    g_autofree char *name = view_row_name(row);
    table_begin_row(table, COLOUR_NONE);
    view_put_quantity(table, row->flat, "bytes");
    double whole = columns->is_part ? in_use_bytes : in_use_bytes + row->flat;
    if (whole > 0)
      view_put_percentage(table, row->flat, whole);
    else
      table_put(table, ""); /* a reservation that the program got access to since */
    view_put_quantity(table, in_use_bytes, "bytes");
    table_put(table, name);
  }
  if (shown > 0)
    table_append(table, width, stream, text);
  table_free(table);
  owned_end(&owned);
}

void resident_view_append_rounding(GString *text, const struct heap *heap, uint32_t count, int width, FILE *stream)
{
  const struct owned_columns columns = {REGION_ROUNDING_TYPE, "waste", "waste%", "in use", false};
  append_owned(text, heap, &columns, count, width, stream);
}

void resident_view_append_direct(GString *text, const struct heap *heap, uint32_t count, int width, FILE *stream)
{
  const struct owned_columns columns = {REGION_RESIDENT_TYPE, "resident", "of it%", "mapped", true};
  append_owned(text, heap, &columns, count, width, stream);
}

/* Mappings. */

static const char *const part_names[ACCOUNT_PARTS] = {"allocator", "stack", "file", "direct", "shared", "profiler"};

static const char *part_name(const struct resident_memory *memory, guint index)
{
  return part_names[g_array_index(memory->parts, enum account_part, index)];
}

void resident_view_append_mappings(GString *text, const struct resident_memory *memory, int width, FILE *stream)
{
  struct table *table = table_new();
  table_add_column(table, "resident", TABLE_RIGHT);
  table_add_column(table, "of", TABLE_RIGHT);
  table_add_column(table, "start", TABLE_RIGHT);
  table_add_column(table, "", TABLE_LEFT);
  table_add_column(table, "part", TABLE_LEFT);
  table_add_column(table, "name", TABLE_LEFT);
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct smaps_mapping *mapping = &g_array_index(memory->mappings, struct smaps_mapping, i);
    g_autofree char *start = g_strdup_printf("%" G_GINT64_MODIFIER "x", mapping->start);
    if (mapping->resident_bytes == 0)
      continue;
    table_begin_row(table, COLOUR_NONE);
    view_put_quantity(table, (double)mapping->resident_bytes, "bytes");
    view_put_quantity(table, (double)(mapping->limit - mapping->start), "bytes");
    table_put(table, start);
    table_put(table, mapping->permissions);
    table_put(table, part_name(memory, i));
    table_put(table, mapping->path);
  }
  table_append(table, width, stream, text);
  table_free(table);
}

/* JSON. */

static json_t *counters_json(const struct region_summary *summary)
{
  static const char *const keys[ALLOCATOR_COUNTERS] = {"allocated", "active", "metadata",
                                                       "resident",  "mapped", "retained"};
  if (!has_counters(summary))
    return json_null();
  json_t *object = json_object();
  for (unsigned i = 0; i < ALLOCATOR_COUNTERS; i++)
    json_field_set_number(object, keys[i], summary->allocator_counters[i]);
  return object;
}

static json_t *owned_json(const struct heap *heap, const struct owned_columns *keys, uint32_t count)
{
  struct owned owned;
  const struct row *row;
  double in_use_bytes;
  json_t *array = json_array();
  owned_begin(&owned, heap, keys->type);
  for (uint32_t i = 0; i < count && (row = owned_row(&owned, i, &in_use_bytes)) != NULL; i++) {
    json_t *object = json_object();
    json_field_set_text(object, "name", row->name);
    json_object_set_new(object, keys->value, rows_json_number(row->flat));
    json_object_set_new(object, keys->in_use, rows_json_number(in_use_bytes));
    json_array_append_new(array, object);
  }
  owned_end(&owned);
  return array;
}

static json_t *mappings_json(const struct resident_memory *memory)
{
  json_t *array = json_array();
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct smaps_mapping *mapping = &g_array_index(memory->mappings, struct smaps_mapping, i);
    json_t *object = json_object();
    g_autofree char *start = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", mapping->start);
    json_field_set_text(object, "start", start);
    json_field_set_number(object, "bytes", mapping->limit - mapping->start);
    json_field_set_number(object, "resident_bytes", mapping->resident_bytes);
    json_field_set_text(object, "permissions", mapping->permissions);
    json_field_set_text(object, "part", part_name(memory, i));
    json_field_set_text(object, "name", mapping->path);
    json_array_append_new(array, object);
  }
  return array;
}

json_t *resident_view_json(const struct target *target, const struct resident_memory *memory, const struct heap *heap,
                           const struct heap *direct, uint32_t count, bool wants_mappings)
{
  static const struct owned_columns rounding_keys = {
      .type = REGION_ROUNDING_TYPE, .value = "waste_bytes", .in_use = "in_use_bytes"};
  static const struct owned_columns direct_keys = {
      .type = REGION_RESIDENT_TYPE, .value = "resident_bytes", .in_use = "mapped_bytes"};
  struct shown_part shown[SHOWN_PARTS];
  const char *since = region_summary_since(&target->summary);
  json_t *object = json_object(), *parts = json_object();
  shown_parts(target, memory, shown);
  json_field_set_number(object, "pid", (uint64_t)target->pid);
  json_field_set_text(object, "program", target->summary.program);
  json_field_set_text(object, "allocator", target->summary.allocator);
  json_field_set_number(object, "resident_bytes", memory->sums.total_bytes);
  json_field_set_number(object, "resident_most_bytes", MAX(memory->most_bytes, memory->sums.total_bytes));
  json_field_set_number(object, "swapped_bytes", memory->sums.swapped_bytes);
  for (unsigned i = 0; i < SHOWN_PARTS; i++)
    json_field_set_number(parts, shown[i].key, shown[i].bytes);
  json_object_set_new(object, "parts", parts);
  json_field_set_number(object, "asked_for_and_absent_bytes", memory->absent_bytes);
  json_object_set_new(object, "since", since != NULL ? json_string(since) : json_null());
  json_object_set_new(object, "allocator_says", counters_json(&target->summary));
  if (heap != NULL)
    json_object_set_new(object, "rounding", owned_json(heap, &rounding_keys, count));
  if (direct != NULL)
    json_object_set_new(object, "direct", owned_json(direct, &direct_keys, count));
  if (wants_mappings)
    json_object_set_new(object, "mappings", mappings_json(memory));
  return object;
}
