/* SPDX-License-Identifier: MIT */
#include "tools/live/timeline.h"

#include "tools/live/pulse.h"

#include <jansson.h>
#include <stdlib.h>

/* Columns of the points. */
struct timeline {
  json_t *times, *in_use, *resident, *allocated, *is_known;
};

struct timeline *timeline_new(void)
{
  struct timeline *timeline = g_new(struct timeline, 1);
  *timeline = (struct timeline){json_array(), json_array(), json_array(), json_array(), json_array()};
  return timeline;
}

static void add_number(json_t *column, double value)
{
  json_array_append_new(column, json_integer((json_int_t)MIN(value + 0.5, 9e15)));
}

void timeline_add(struct timeline *timeline, const struct timeline_point *point)
{
  json_array_append_new(timeline->times, json_integer(point->time_unix_ns / 1000000));
  add_number(timeline->in_use, point->in_use_bytes);
  if (point->resident_bytes > 0)
    add_number(timeline->resident, point->resident_bytes);
  else
    json_array_append_new(timeline->resident, json_null());
  add_number(timeline->allocated, point->allocated_bytes);
  json_array_append_new(timeline->is_known, json_boolean(point->is_known));
}

/* By point; null where it is not known. */
static json_t *values_of(const struct owner_past *past, const json_t *is_known)
{
  json_t *values = json_array();
  size_t moment = 0;
  for (size_t i = 0; i < json_array_size(is_known); i++)
    if (json_is_true(json_array_get(is_known, i)))
      add_number(values, past->bytes[moment++]);
    else
      json_array_append_new(values, json_null());
  return values;
}

static json_t *owners_json(struct owners *owners, const json_t *is_known)
{
  json_t *all = json_array();
  g_autoptr(GArray) shown = owners_shown(owners);
  for (guint i = 0; i < shown->len; i++) {
    const struct owner_past *past = &g_array_index(shown, struct owner_past, i);
    json_array_append_new(all, json_pack("{ss sb so}", "name", past->name, "is_rest", past->is_rest, "values",
                                         values_of(past, is_known)));
  }
  return all;
}

GString *timeline_end(struct timeline *timeline, struct owners *owners, unsigned interval_seconds)
{
  json_t *shown = owners_json(owners, timeline->is_known);
  json_t *all = json_pack("{si so so so so so so}", "interval_s", (int)interval_seconds, "times", timeline->times,
                          "in_use", timeline->in_use, "resident", timeline->resident, "allocated", timeline->allocated,
                          "is_known", timeline->is_known, "owners", shown);
  char *text = json_dumps(all, JSON_COMPACT | JSON_ENSURE_ASCII);
  json_decref(all);
  g_free(timeline);
  GString *json = g_string_new(text);
  free(text);
  return json;
}

GString *timeline_json(struct owners *owners, GBytes *pulses, uint64_t created_unix_ns, unsigned interval_seconds)
{
  struct timeline *timeline = timeline_new();
  struct pulse_reader reader = pulses_begin_kept(pulses);
  struct pulse pulse;
  const void *moment;
  while (pulses_next(&reader, &pulse, &moment)) {
    if (pulse.created_unix_ns != created_unix_ns)
      continue;
    struct timeline_point point = {pulse.time_unix_ns, pulse.in_use_bytes, pulse.resident_bytes, pulse.allocated_bytes,
                                   pulse.moment_bytes > 0};
    timeline_add(timeline, &point);
    if (point.is_known)
      owners_add_moment(owners, moment, pulse.moment_bytes);
  }
  return timeline_end(timeline, owners, interval_seconds);
}
