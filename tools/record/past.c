/* SPDX-License-Identifier: MIT */
#include "tools/record/past.h"

#include "tools/filter/plumbing.h"
#include "tools/live/timeline.h"
#include "tools/record/chain.h"
#include "tools/source/source.h"

enum { PARTS = 360 };

/* --- points --- */

static void add_point(GArray *points, sqlite3_stmt *query)
{
  struct past_point point = {sqlite3_column_int64(query, 0), sqlite3_column_int64(query, 1),
                             sqlite3_column_int64(query, 2), sqlite3_column_int64(query, 3)};
  if (points->len == 0 || g_array_index(points, struct past_point, points->len - 1).time_ns < point.time_ns)
    g_array_append_val(points, point);
}

/* Of several moments with as much, and of ends that are the largest as well, each is there once. */
GArray *past_points(struct store *store, const struct process_row *row, unsigned parts, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GArray *points = g_array_new(FALSE, FALSE, sizeof(struct past_point));
  int64_t step_ns = (row->last_ns - row->first_ns) / MAX(parts, 1) + 1;
  g_autoptr(sqlite3_stmt) query =
      store_query(store, &problem,
                  "SELECT time_ns, in_use, allocated, resident FROM (SELECT time_ns, max(in_use) AS in_use, allocated, "
                  "resident FROM moment WHERE process = ?1 AND time_ns BETWEEN ?2 AND ?3 GROUP BY (time_ns - ?2) / ?4 "
                  "UNION SELECT time_ns, in_use, allocated, resident FROM moment WHERE process = ?1 AND time_ns IN "
                  "(?2, ?3)) ORDER BY time_ns",
                  "iiii", row->id, row->first_ns, row->last_ns, step_ns);
  while (query != NULL && store_next(store, query, &problem))
    add_point(points, query);
  if (problem == NULL)
    return points;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_array_free(points, TRUE);
  return NULL;
}

/* --- owners --- */

struct walk {
  const GArray *points;
  guint next; /* of them */
  int type;   /* of what is in use */
  struct owners *owners;
  struct timeline *timeline;
};

/* Points are of moments that are there. */
static bool take_moment(int64_t time_ns, const struct values *values, void *data)
{
  struct walk *walk = data;
  const struct past_point *point = &g_array_index(walk->points, struct past_point, walk->next);
  if (time_ns < point->time_ns)
    return true;
  struct timeline_point shown = {point->time_ns, (double)point->in_use_bytes, (double)point->resident_bytes,
                                 (double)point->allocated_bytes, true};
  timeline_add(walk->timeline, &shown);
  for (uint32_t i = 0; i < values_count(values); i++)
    owners_add_sample(walk->owners, i, (double)MAX(values_numbers(values, i)[walk->type], 0));
  owners_end_moment(walk->owners);
  return ++walk->next < walk->points->len;
}

static GString *json_of(struct recorded *recorded, const struct process_row *row, const struct heap *heap,
                        const GArray *points, GError **error)
{
  struct values *values = values_new(heap->types->len);
  struct walk walk = {.points = points,
                      .type = MAX(heap_find_type(heap, "inuse_space"), 0),
                      .owners = owners_of(heap, NULL),
                      .timeline = timeline_new()};
  bool is_walked = points->len == 0 || chain_walk(recorded->store, row->id, values, take_moment, &walk, error);
  GString *json = timeline_end(walk.timeline, walk.owners, 0);
  owners_free(walk.owners);
  values_free(values);
  if (is_walked)
    return json;
  g_string_free(json, TRUE);
  return NULL;
}

GString *past_json(struct recorded *recorded, const struct process_row *row, GError **error)
{
  struct heap *heap = process_row_stacks(recorded->store, row->id, recorded->texts, error);
  if (heap == NULL)
    return NULL;
  g_autoptr(GArray) points = past_points(recorded->store, row, PARTS, error);
  source_drop_frames(heap);
  plumbing_mark(heap, NULL);
  GString *json = points != NULL ? json_of(recorded, row, heap, points, error) : NULL;
  heap_free(heap);
  return json;
}
