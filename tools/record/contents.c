/* SPDX-License-Identifier: MIT */
#include "tools/record/contents.h"

#include "tools/record/past.h"

#include <jansson.h>
#include <stdlib.h>

enum { PARTS = 120, NS_OF_MS = 1000000 };

static json_t *json_of_points(const GArray *points)
{
  json_t *json = json_array();
  for (guint i = 0; i < points->len; i++) {
    const struct past_point *point = &g_array_index(points, struct past_point, i);
    json_array_append_new(json,
                          json_pack("[II]", (json_int_t)(point->time_ns / NS_OF_MS), (json_int_t)point->in_use_bytes));
  }
  return json;
}

/* The points end with the last moment. */
static json_t *json_of_row(const struct process_row *row, const GArray *points)
{
  static const struct past_point none;
  const struct past_point *last = points->len > 0 ? &g_array_index(points, struct past_point, points->len - 1) : &none;
  return json_pack("{sI si ss ss sI sI sI sI sI sb sb so}", "id", (json_int_t)row->id, "pid", row->pid, "program",
                   row->program, "command", row->command, "first_ms", (json_int_t)(row->first_ns / NS_OF_MS), "last_ms",
                   (json_int_t)(row->last_ns / NS_OF_MS), "moments", (json_int_t)row->moments, "in_use",
                   (json_int_t)last->in_use_bytes, "allocated", (json_int_t)last->allocated_bytes, "ended",
                   row->ended_ns != 0, "left", row->is_left, "points", json_of_points(points));
}

static bool add_processes(json_t *all, const struct recorded *recorded, GError **error)
{
  for (guint i = 0; i < recorded->processes->len; i++) {
    const struct process_row *row = &g_array_index(recorded->processes, struct process_row, i);
    g_autoptr(GArray) points = past_points(recorded->store, row, PARTS, error);
    if (points == NULL)
      return false;
    json_array_append_new(all, json_of_row(row, points));
  }
  return true;
}

static json_t *json_of_kept(sqlite3_stmt *query)
{
  g_autofree char *program = store_text(query, 2), *condition = store_text(query, 3);
  bool is_forgotten = sqlite3_column_type(query, 5) == SQLITE_NULL;
  json_t *pid = is_forgotten ? json_null() : json_integer(sqlite3_column_int64(query, 5));
  return json_pack("{sI sI ss sf so ss}", "number", (json_int_t)sqlite3_column_int64(query, 0), "time_ms",
                   (json_int_t)(sqlite3_column_int64(query, 1) / NS_OF_MS), "condition", condition, "value",
                   sqlite3_column_double(query, 4), "pid", pid, "program", program);
}

static bool add_kept(json_t *all, const struct recorded *recorded, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query = recorded_query_kept(recorded, &problem);
  while (query != NULL && store_next(recorded->store, query, &problem))
    json_array_append_new(all, json_of_kept(query));
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

GString *contents_json(struct recorded *recorded, GError **error)
{
  json_t *processes = json_array(), *kept = json_array();
  bool is_read = add_processes(processes, recorded, error) && add_kept(kept, recorded, error);
  json_t *all = json_pack("{so so}", "processes", processes, "kept", kept);
  char *text = is_read ? json_dumps(all, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
  GString *json = text != NULL ? g_string_new(text) : NULL;
  free(text);
  json_decref(all);
  return json;
}
