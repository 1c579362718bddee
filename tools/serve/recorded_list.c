/* SPDX-License-Identifier: MIT */
#include "tools/serve/recorded_list.h"

#include "tools/live/pulse.h"
#include "tools/scrape/served.h"
#include "tools/source/recorded_program.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

#define ID "id:"

enum { STATUS_NOT_FOUND = 404, STATUS_CONFLICT = 409, STATUS_BROKEN = 500 };
static const int64_t ns_of_ms = 1000000;

/* --- reading --- */

static int64_t number_of(const json_t *row, const char *key)
{
  return json_integer_value(json_object_get(row, key));
}

static const char *text_of(const json_t *row, const char *key)
{
  const char *text = json_string_value(json_object_get(row, key));
  return text != NULL ? text : "";
}

static void add_pulses(GByteArray *bytes, const json_t *row)
{
  size_t index;
  const json_t *point;
  json_array_foreach(json_object_get(row, "points"), index, point)
  {
    struct pulse pulse = {.pid = (int32_t)number_of(row, "id"),
                          .time_unix_ns = json_integer_value(json_array_get(point, 0)) * ns_of_ms,
                          .in_use_bytes = (double)json_integer_value(json_array_get(point, 1))};
    pulses_append(bytes, &pulse, NULL);
  }
}

static void add_process(struct recorded_list *list, const json_t *row)
{
  struct recorded_process process = {.id = number_of(row, "id"),
                                     .pid = (int)number_of(row, "pid"),
                                     .program = text_of(row, "program"),
                                     .command = text_of(row, "command"),
                                     .first_ms = number_of(row, "first_ms"),
                                     .last_ms = number_of(row, "last_ms"),
                                     .moments = number_of(row, "moments"),
                                     .in_use_bytes = (double)number_of(row, "in_use"),
                                     .allocated_bytes = (double)number_of(row, "allocated"),
                                     .has_ended = json_is_true(json_object_get(row, "ended"))};
  if (process.moments > 0)
    g_array_append_val(list->processes, process);
}

static void add_kept(struct recorded_list *list, const json_t *row)
{
  struct recorded_kept kept = {.number = number_of(row, "number"),
                               .time_ms = number_of(row, "time_ms"),
                               .pid = (int)number_of(row, "pid"),
                               .program = text_of(row, "program"),
                               .condition = text_of(row, "condition")};
  g_array_append_val(list->kept, kept);
}

static struct recorded_list *list_of(const char *path, json_t *json)
{
  size_t index;
  const json_t *row;
  GByteArray *pulses = g_byte_array_new();
  struct recorded_list *list = g_new(struct recorded_list, 1);
  *list = (struct recorded_list){.path = g_strdup(path),
                                 .processes = g_array_new(FALSE, FALSE, sizeof(struct recorded_process)),
                                 .kept = g_array_new(FALSE, FALSE, sizeof(struct recorded_kept)),
                                 .json = json};
  json_array_foreach(json_object_get(json, "processes"), index, row)
  {
    add_process(list, row);
    add_pulses(pulses, row);
  }
  json_array_foreach(json_object_get(json, "kept"), index, row) add_kept(list, row);
  list->pulses = g_byte_array_free_to_bytes(pulses);
  return list;
}

struct recorded_list *recorded_list_read(const char *path, GError **error)
{
  static const char *const options[] = {"--json", NULL};
  g_autoptr(GError) problem = NULL;
  g_autoptr(GByteArray) bytes = recorded_program_output(options, path, &problem);
  json_t *json = bytes != NULL ? json_loadb((const char *)bytes->data, bytes->len, 0, NULL) : NULL;
  if (json != NULL)
    return list_of(path, json);
  g_set_error(error, SERVED_ERROR, STATUS_BROKEN, "%s", problem != NULL ? problem->message : "it cannot be listed");
  return NULL;
}

void recorded_list_free(struct recorded_list *list)
{
  if (list == NULL)
    return;
  g_array_free(list->processes, TRUE);
  g_array_free(list->kept, TRUE);
  g_bytes_unref(list->pulses);
  json_decref(list->json);
  g_free(list->path);
  g_free(list);
}

/* --- finding --- */

static const struct recorded_process *process_at(const struct recorded_list *list, guint index)
{
  return &g_array_index(list->processes, struct recorded_process, index);
}

static bool is_meant(const struct recorded_process *process, const char *word)
{
  guint64 number;
  if (word[0] == '\0')
    return true;
  if (g_str_has_prefix(word, ID))
    return g_ascii_string_to_unsigned(word + strlen(ID), 10, 1, INT64_MAX, &number, NULL) &&
           (guint64)process->id == number;
  return g_ascii_string_to_unsigned(word, 10, 1, INT_MAX, &number, NULL) ? (guint64)process->pid == number
                                                                         : strcmp(process->program, word) == 0;
}

static const struct recorded_process *fail_several(const struct recorded_list *list, const char *word, GError **error)
{
  g_autoptr(GString) numbers = g_string_new(NULL);
  unsigned count = 0;
  for (guint i = 0; i < list->processes->len; i++)
    if (is_meant(process_at(list, i), word) && !process_at(list, i)->has_ended)
      g_string_append_printf(numbers, "%s%d", count++ > 0 ? ", " : "", process_at(list, i)->pid);
  g_set_error(error, SERVED_ERROR, STATUS_CONFLICT, "%u processes: %s; ask for one: /PID/debug/pprof/", count,
              numbers->str);
  return NULL;
}

const struct recorded_process *recorded_list_find(const struct recorded_list *list, const char *process, GError **error)
{
  const struct recorded_process *running = NULL, *last = NULL;
  unsigned count = 0;
  for (guint i = 0; i < list->processes->len; i++) {
    const struct recorded_process *one = process_at(list, i);
    if (!is_meant(one, process))
      continue;
    last = one;
    if (!one->has_ended) {
      running = one;
      count++;
    }
  }
  if (count > 1)
    return fail_several(list, process, error);
  if (last == NULL && process[0] == '\0')
    g_set_error(error, SERVED_ERROR, STATUS_NOT_FOUND, "%s has no moments yet", list->path);
  else if (last == NULL)
    g_set_error(error, SERVED_ERROR, STATUS_NOT_FOUND, "%s has no process '%s'", list->path, process);
  return running != NULL ? running : last;
}

char *recorded_list_name(const struct recorded_list *list, const struct recorded_process *process)
{
  unsigned count = 0;
  for (guint i = 0; i < list->processes->len; i++)
    count += process_at(list, i)->pid == process->pid;
  return count == 1 ? g_strdup_printf("%d", process->pid) : g_strdup_printf(ID "%" G_GINT64_FORMAT, process->id);
}
