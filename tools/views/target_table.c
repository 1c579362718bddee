/* SPDX-License-Identifier: MIT */
#include "tools/views/target_table.h"

#include "core/region_hooks.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/terminal/table.h"
#include "tools/views/json_field.h"
#include "tools/views/rows_json.h"

#include <math.h>
#include <string.h>

enum { COMMAND_WIDTH_MAX = 32 };

static const struct {
  const char *title;
  enum table_align align;
  unsigned rank; /* table.h */
} columns[] = {
    {"PID", TABLE_RIGHT, 0},  {"STATE", TABLE_LEFT, 0},    {"COMMAND", TABLE_LEFT, 0}, {"ALLOCATOR", TABLE_LEFT, 7},
    {"R", TABLE_RIGHT, 3},    {"SAMPLES", TABLE_RIGHT, 2}, {"STACKS", TABLE_RIGHT, 1}, {"IN USE", TABLE_RIGHT, 8},
    {"±95%", TABLE_RIGHT, 5}, {"LOST", TABLE_RIGHT, 4},    {"AGE", TABLE_RIGHT, 6},    {"STATE FILE", TABLE_LEFT, 0},
};

/* "/usr/lib/libjemalloc.so.2" -> "jemalloc" */
static char *library_name(const char *path)
{
  g_autofree char *name = g_path_get_basename(path[0] != '\0' ? path : "?");
  if (!g_str_has_prefix(name, "lib"))
    return g_steal_pointer(&name);
  char *suffix = strstr(name, ".so");
  if (suffix != NULL)
    *suffix = '\0';
  return g_strdup(strcmp(name, "libc") == 0 ? "glibc" : name + 3);
}

static char *allocator_name(const struct region_summary *summary)
{
  g_autofree char *name = library_name(summary->allocator);
  char beside[128] = "";
  struct text text = TEXT_INIT(beside);
  region_hooks_put_beside(&text, summary->hooks);
  return g_strconcat(name, beside, NULL);
}

static double age_seconds(const struct target *target)
{
  return (double)g_get_real_time() / 1e6 - (double)target->summary.created_unix_ns / 1e9;
}

static void put_number(struct table *table, uint64_t number)
{
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  table_put(table, text);
}

/* Where there is no room for all of it, the program's name matters more than where it lies. */
static const char *from_name(const char *command)
{
  const char *name = command;
  if (g_utf8_strlen(command, -1) <= COMMAND_WIDTH_MAX)
    return command;
  for (size_t i = 0; command[i] != '\0' && command[i] != ' '; i++)
    if (command[i] == '/')
      name = command + i + 1;
  return name;
}

/* In the order of the columns. */
static void put_row(struct table *table, const struct target *target)
{
  const struct region_summary *summary = &target->summary;
  g_autofree char *command = target_command(target), *shown = shown_text(command);
  g_autofree char *cut = shown_cut_end(from_name(shown), COMMAND_WIDTH_MAX), *allocator = allocator_name(summary);
  table_begin_row(table, target->is_alive ? COLOUR_NONE : COLOUR_DIM);
  put_number(table, (uint64_t)target->pid);
  table_put(table, target_state(target));
  table_put(table, cut);
  table_put(table, allocator);
  table_put(table, quantity((double)summary->sample_interval_bytes, "bytes").text);
  put_number(table, summary->samples);
  put_number(table, summary->stacks);
  table_put(table, quantity(summary->in_use_bytes, "bytes").text);
  table_put(table, quantity_error(summary->in_use_bytes, summary->in_use_bytes_variance, "bytes").text);
  put_number(table, summary->lost_samples);
  table_put(table, quantity_duration(age_seconds(target)).text);
  table_put(table, target->path);
}

void target_table_print(const GPtrArray *targets)
{
  struct table *table = table_new();
  for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
    table_add_column_of_rank(table, columns[i].title, columns[i].align, columns[i].rank);
  for (guint i = 0; i < targets->len; i++)
    put_row(table, g_ptr_array_index(targets, i));
  table_print(table, stdout);
  table_free(table);
}

/* JSON. */

static json_t *losses_of(const struct region_summary *summary)
{
  static const char *const keys[] = {
#define HEAPPROF_LOSS(identifier, key, what) key,
#include "core/losses.def"
#undef HEAPPROF_LOSS
  };
  json_t *losses = json_object();
  for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
    json_field_set_number(losses, keys[i], summary->lost[i]);
  json_field_set_number(losses, "total", summary->lost_samples);
  return losses;
}

static json_t *json_of(const struct target *target)
{
  const struct region_summary *summary = &target->summary;
  g_autofree char *command = target_command(target);
  char hooks[REGION_HOOKS_TEXT_BYTES] = "";
  struct text text = TEXT_INIT(hooks);
  region_hooks_put(&text, summary->hooks);
  json_t *object = json_object();
  json_field_set_number(object, "pid", (uint64_t)target->pid);
  json_field_set_text(object, "state", target_state(target));
  json_field_set_number(object, "user", target->owner);
  json_field_set_text(object, "program", summary->program);
  json_field_set_text(object, "command", command);
  json_field_set_text(object, "allocator", summary->allocator);
  json_field_set_text(object, "hooks", hooks);
  json_field_set_number(object, "sampling_interval_bytes", summary->sample_interval_bytes);
  json_field_set_number(object, "samples", summary->samples);
  json_field_set_number(object, "stacks", summary->stacks);
  json_object_set_new(object, "in_use_bytes", rows_json_number(round(summary->in_use_bytes)));
  json_object_set_new(object, "in_use_bytes_error",
                      rows_json_number(round(quantity_half_width(summary->in_use_bytes_variance))));
  json_object_set_new(object, "in_use_objects", rows_json_number(round(summary->in_use_objects)));
  json_object_set_new(object, "allocated_bytes", rows_json_number(round(summary->allocated_bytes)));
  json_object_set_new(object, "peak_bytes", rows_json_number(round(summary->peak_bytes)));
  struct resident resident = target_resident(target);
  json_field_set_number(object, "resident_bytes", resident.now_bytes);
  json_field_set_number(object, "resident_most_bytes", resident.most_bytes);
  json_field_set_number(object, "exact_units", summary->exact_units);
  json_object_set_new(object, "lost", losses_of(summary));
  json_field_set_number(object, "own_bytes", summary->own_bytes);
  json_field_set_number(object, "created_unix_ns", summary->created_unix_ns);
  json_field_set_number(object, "parent_pid", (uint64_t)summary->parent_pid);
  json_object_set_new(object, "is_whole", json_boolean(summary->is_whole));
  json_field_set_text(object, "state_file", target->path);
  return object;
}

void target_table_print_json(const GPtrArray *targets)
{
  json_t *array = json_array();
  for (guint i = 0; i < targets->len; i++)
    json_array_append_new(array, json_of(g_ptr_array_index(targets, i)));
  rows_json_print(array);
}
