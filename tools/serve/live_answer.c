/* SPDX-License-Identifier: MIT */
#include "tools/serve/live_answer.h"

#include "tools/filter/plumbing.h"
#include "tools/live/moment.h"
#include "tools/live/pulse.h"
#include "tools/live/timeline.h"
#include "tools/scrape/marks.h"
#include "tools/scrape/served.h"
#include "tools/scrape/served_heap.h"
#include "tools/views/heap_json.h"

enum { STATUS_NOT_FOUND = 404 };

static void finish(struct heap *heap, const struct target *target)
{
  served_heap_finish(heap, target);
  plumbing_mark(heap, NULL);
}

static GString *json_of(const struct heap *heap, const struct heap *base, GError **error)
{
  struct page_start start = {.type = heap_find_type(heap, "inuse_space")};
  return heap_json(heap, base, NULL, start, error);
}

GString *live_answer_heap(const struct target *target, GError **error)
{
  struct heap *heap = target_read(target, REGION_NOW, "serve", error);
  if (heap == NULL)
    return NULL;
  finish(heap, target);
  GString *json = json_of(heap, NULL, error);
  heap_free(heap);
  return json;
}

GString *live_answer_timeline(const struct target *target, GBytes *pulses, unsigned interval_seconds, GError **error)
{
  struct heap *heap = served_heap_read(target, REGION_NOW, "serve", error);
  if (heap == NULL)
    return NULL;
  g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
  g_autoptr(GArray) keys = stack_keys_of(heap);
  finish(heap, target);
  struct owners *owners = owners_of(heap, keys);
  GString *json =
      timeline_json(owners, pulses != NULL ? pulses : none, target->summary.created_unix_ns, interval_seconds);
  owners_free(owners);
  heap_free(heap);
  return json;
}

/* The heap of a moment: with the names of now. */
static struct heap *heap_at(const struct target *target, const struct pulse *pulse, const void *moment, GError **error)
{
  struct heap *heap = served_heap_read(target, REGION_NOW, "serve", error);
  if (heap == NULL)
    return NULL;
  g_autoptr(GArray) keys = stack_keys_of(heap);
  finish(heap, target);
  moment_put(heap, keys, moment, pulse->moment_bytes);
  heap->time_unix_ns = pulse->time_unix_ns;
  marks_drop_totals(heap);
  return heap;
}

static struct heap *next_heap(const struct target *target, struct pulse_reader *reader, GError **error)
{
  struct pulse pulse;
  const void *moment;
  if (pulses_next(reader, &pulse, &moment) && pulse.created_unix_ns == target->summary.created_unix_ns)
    return heap_at(target, &pulse, moment, error);
  g_set_error_literal(error, SERVED_ERROR, STATUS_NOT_FOUND, "nothing is remembered of that time");
  return NULL;
}

GString *live_answer_change(const struct target *target, GBytes *pulses, GError **error)
{
  struct pulse_reader reader = pulses_begin_kept(pulses);
  struct heap *base = next_heap(target, &reader, error),
              *heap = base != NULL ? next_heap(target, &reader, error) : NULL;
  GString *json = heap != NULL ? json_of(heap, base, error) : NULL;
  heap_free(base);
  heap_free(heap);
  return json;
}
