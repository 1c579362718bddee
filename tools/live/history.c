/* SPDX-License-Identifier: MIT */
#include "tools/live/history.h"

#include <string.h>

struct point {
  struct pulse pulse; /* moment_bytes is that of `moment` */
  GBytes *moment;     /* NULL: not known, or not kept */
};

struct past {
  GArray *points; /* struct point, the oldest first */
  size_t moment_bytes;
  bool is_seen; /* among the last pulses */
};

struct history {
  GHashTable *pasts; /* pid -> struct past * */
  size_t moment_bytes;
};

static struct point *point_at(const struct past *past, guint index)
{
  return &g_array_index(past->points, struct point, index);
}

/* Pasts. */

static void forget_moment(struct history *history, struct past *past, struct point *point)
{
  history->moment_bytes -= point->pulse.moment_bytes;
  past->moment_bytes -= point->pulse.moment_bytes;
  g_clear_pointer(&point->moment, g_bytes_unref);
  point->pulse.moment_bytes = 0;
}

static void remove_point(struct history *history, struct past *past, guint index)
{
  forget_moment(history, past, point_at(past, index));
  g_array_remove_index(past->points, index);
}

static void empty(struct history *history, struct past *past)
{
  while (past->points->len > 0)
    remove_point(history, past, past->points->len - 1);
}

static void free_past(gpointer data)
{
  struct past *past = data;
  g_array_free(past->points, TRUE);
  g_free(past);
}

static struct past *past_of(const struct history *history, int pid)
{
  return g_hash_table_lookup(history->pasts, GINT_TO_POINTER(pid));
}

static struct past *add_past(struct history *history, int pid)
{
  struct past *past = past_of(history, pid);
  if (past != NULL || g_hash_table_size(history->pasts) >= HISTORY_PROCESSES_MAX)
    return past;
  past = g_new0(struct past, 1);
  past->points = g_array_new(FALSE, FALSE, sizeof(struct point));
  g_hash_table_insert(history->pasts, GINT_TO_POINTER(pid), past);
  return past;
}

/* Thinning. */

typedef bool (*is_counted)(const struct point *point);

static bool always(const struct point *point)
{
  (void)point;
  return true;
}

static bool has_moment(const struct point *point)
{
  return point->moment != NULL;
}

static guint next_counted(const struct past *past, guint from, is_counted counts)
{
  while (from < past->points->len && !counts(point_at(past, from)))
    from++;
  return from;
}

/* The one, of those that count, that is missed least: what it leaves is a small part of its age. Neither the first
 * nor the last, unless there are no others; then the first. The number of points: none counts. */
static guint least_missed(const struct past *past, is_counted counts)
{
  guint end = past->points->len, first = next_counted(past, 0, counts), before = first;
  guint best = first, at = first < end ? next_counted(past, first + 1, counts) : end;
  double least = 0;
  int64_t now_ns = end > 0 ? point_at(past, end - 1)->pulse.time_unix_ns : 0;
  for (guint after; at < end && (after = next_counted(past, at + 1, counts)) < end; before = at, at = after) {
    int64_t gap_ns = point_at(past, after)->pulse.time_unix_ns - point_at(past, before)->pulse.time_unix_ns;
    int64_t age_ns = now_ns - point_at(past, at)->pulse.time_unix_ns;
    double missed = (double)gap_ns / ((double)age_ns + 1);
    if (best == first || missed < least) {
      best = at;
      least = missed;
    }
  }
  return best;
}

static void drop_old(struct history *history, struct past *past)
{
  int64_t newest_ns = point_at(past, past->points->len - 1)->pulse.time_unix_ns;
  while (newest_ns - point_at(past, 0)->pulse.time_unix_ns > (int64_t)HISTORY_SECONDS * 1000000000)
    remove_point(history, past, 0);
}

static void thin_points(struct history *history, struct past *past)
{
  guint most = HISTORY_POINTS_MAX / g_hash_table_size(history->pasts);
  drop_old(history, past);
  while (past->points->len > CLAMP(most, 2, HISTORY_POINTS_OF_ONE))
    remove_point(history, past, least_missed(past, always));
}

static struct past *with_most_moments(const struct history *history)
{
  struct past *most = NULL;
  GHashTableIter iterator;
  gpointer past;
  g_hash_table_iter_init(&iterator, history->pasts);
  while (g_hash_table_iter_next(&iterator, NULL, &past))
    if (most == NULL || ((struct past *)past)->moment_bytes > most->moment_bytes)
      most = past;
  return most;
}

static void thin_moments(struct history *history)
{
  while (history->moment_bytes > HISTORY_MOMENT_BYTES_MAX) {
    struct past *past = with_most_moments(history);
    forget_moment(history, past, point_at(past, least_missed(past, has_moment)));
  }
}

/* Taking. */

/* A clock that was set back, or another process of the same number, begins anew. */
static void begin_anew_if_other(struct history *history, struct past *past, const struct pulse *pulse)
{
  if (past->points->len == 0)
    return;
  const struct pulse *last = &point_at(past, past->points->len - 1)->pulse;
  if (last->created_unix_ns != pulse->created_unix_ns || last->time_unix_ns >= pulse->time_unix_ns)
    empty(history, past);
}

static void take(struct history *history, const struct pulse *pulse, const void *moment)
{
  struct past *past = pulse->moment_bytes <= PULSE_MOMENT_BYTES_MAX ? add_past(history, pulse->pid) : NULL;
  if (past == NULL)
    return;
  begin_anew_if_other(history, past, pulse);
  struct point point = {.pulse = *pulse,
                        .moment = pulse->moment_bytes > 0 ? g_bytes_new(moment, pulse->moment_bytes) : NULL};
  g_array_append_val(past->points, point);
  past->moment_bytes += pulse->moment_bytes;
  history->moment_bytes += pulse->moment_bytes;
  past->is_seen = true;
  thin_points(history, past);
  thin_moments(history);
}

static void forget_unseen(struct history *history)
{
  GHashTableIter iterator;
  gpointer value;
  g_hash_table_iter_init(&iterator, history->pasts);
  while (g_hash_table_iter_next(&iterator, NULL, &value)) {
    struct past *past = value;
    if (!past->is_seen) {
      empty(history, past);
      g_hash_table_iter_remove(&iterator);
    } else {
      past->is_seen = false;
    }
  }
}

void history_take(struct history *history, struct pulse_reader *pulses)
{
  struct pulse pulse;
  const void *moment;
  while (pulses_next(pulses, &pulse, &moment))
    take(history, &pulse, moment);
  forget_unseen(history);
}

/* Giving. */

static void append_point(GByteArray *bytes, const struct point *point, bool with_moment)
{
  struct pulse pulse = point->pulse;
  if (!with_moment)
    pulse.moment_bytes = 0;
  pulses_append(bytes, &pulse, point->moment != NULL ? g_bytes_get_data(point->moment, NULL) : NULL);
}

static void append_past(GByteArray *bytes, const struct past *past, bool with_moments)
{
  for (guint i = 0; i < past->points->len; i++)
    append_point(bytes, point_at(past, i), with_moments);
}

GBytes *history_of(const struct history *history, int pid)
{
  const struct past *past = past_of(history, pid);
  if (past == NULL)
    return NULL;
  GByteArray *bytes = g_byte_array_new();
  append_past(bytes, past, true);
  return g_byte_array_free_to_bytes(bytes);
}

GBytes *history_of_all(const struct history *history)
{
  if (g_hash_table_size(history->pasts) == 0)
    return NULL;
  GByteArray *bytes = g_byte_array_new();
  GHashTableIter iterator;
  gpointer past;
  g_hash_table_iter_init(&iterator, history->pasts);
  while (g_hash_table_iter_next(&iterator, NULL, &past))
    append_past(bytes, past, false);
  return g_byte_array_free_to_bytes(bytes);
}

/* NULL: there is none but `other`. */
static const struct point *closest(const struct past *past, int64_t time_unix_ns, const struct point *other)
{
  const struct point *best = NULL;
  for (guint i = 0; i < past->points->len; i++) {
    const struct point *point = point_at(past, i);
    if (point->moment == NULL || point == other)
      continue;
    if (best == NULL || ABS(point->pulse.time_unix_ns - time_unix_ns) < ABS(best->pulse.time_unix_ns - time_unix_ns))
      best = point;
  }
  return best;
}

GBytes *history_pair(const struct history *history, int pid, int64_t from_unix_ns, int64_t to_unix_ns)
{
  const struct past *past = past_of(history, pid);
  const struct point *to = past != NULL ? closest(past, to_unix_ns, NULL) : NULL;
  const struct point *from = to != NULL ? closest(past, from_unix_ns, to) : NULL;
  if (from == NULL)
    return NULL;
  GByteArray *bytes = g_byte_array_new();
  append_point(bytes, from < to ? from : to, true);
  append_point(bytes, from < to ? to : from, true);
  return g_byte_array_free_to_bytes(bytes);
}

size_t history_moment_bytes(const struct history *history)
{
  return history->moment_bytes;
}

struct history *history_new(void)
{
  struct history *history = g_new0(struct history, 1);
  history->pasts = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, free_past);
  return history;
}

void history_free(struct history *history)
{
  GHashTableIter iterator;
  gpointer past;
  g_hash_table_iter_init(&iterator, history->pasts);
  while (g_hash_table_iter_next(&iterator, NULL, &past))
    empty(history, past);
  g_hash_table_destroy(history->pasts);
  g_free(history);
}
