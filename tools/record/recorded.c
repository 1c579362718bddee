/* SPDX-License-Identifier: MIT */
#include "tools/record/recorded.h"

#include "tools/record/amount.h"
#include "tools/record/moment.h"

#include <string.h>

#define RECORDED_ERROR g_quark_from_static_string("heapprof-recorded")
#define ID "id:"

struct recorded *recorded_open(const char *path, GError **error)
{
  struct recorded *recorded = g_new0(struct recorded, 1);
  if ((recorded->store = store_open(path, error)) != NULL && store_begin_reading(recorded->store, error) &&
      (recorded->texts = texts_load(recorded->store, error)) != NULL &&
      (recorded->processes = process_rows(recorded->store, error)) != NULL)
    return recorded;
  recorded_free(recorded);
  return NULL;
}

void recorded_free(struct recorded *recorded)
{
  if (recorded == NULL)
    return;
  if (recorded->processes != NULL)
    g_array_free(recorded->processes, TRUE);
  texts_free(recorded->texts);
  store_free(recorded->store);
  g_free(recorded);
}

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool fail(GError **error, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error_literal(error, RECORDED_ERROR, 0, text);
  return false;
}

static const struct process_row *row_at(const struct recorded *recorded, guint index)
{
  return &g_array_index(recorded->processes, struct process_row, index);
}

static bool is_meant(const struct process_row *row, const char *process)
{
  guint64 pid, id;
  if (row->moments == 0 || process == NULL)
    return row->moments > 0;
  if (g_str_has_prefix(process, ID))
    return g_ascii_string_to_unsigned(process + strlen(ID), 10, 1, G_MAXINT64, &id, NULL) && (guint64)row->id == id;
  if (g_ascii_string_to_unsigned(process, 10, 1, G_MAXINT, &pid, NULL))
    return (guint64)row->pid == pid;
  return strcmp(row->program, process) == 0;
}

/* --- the time --- */

struct span {
  int64_t first_ns, last_ns;
};

static bool is_same_process(const struct process_row *row, const struct process_row *other)
{
  return row->pid == other->pid && row->created_unix_ns == other->created_unix_ns;
}

/* It was begun anew since, after the clock was set back: what it has of times after that was told wrong. */
static bool is_superseded(const struct recorded *recorded, const char *process, const struct process_row *row)
{
  for (guint i = 0; i < recorded->processes->len; i++) {
    const struct process_row *other = row_at(recorded, i);
    if (is_meant(other, process) && is_same_process(row, other) && other->id > row->id)
      return true;
  }
  return false;
}

/* Of all that are meant. */
static bool span_of(const struct recorded *recorded, const char *process, struct span *span, GError **error)
{
  *span = (struct span){INT64_MAX, 0};
  for (guint i = 0; i < recorded->processes->len; i++) {
    const struct process_row *row = row_at(recorded, i);
    if (!is_meant(row, process))
      continue;
    span->first_ns = MIN(span->first_ns, row->first_ns);
    span->last_ns = MAX(span->last_ns, is_superseded(recorded, process, row) ? 0 : row->last_ns);
  }
  if (span->last_ns > 0)
    return true;
  return process == NULL
             ? fail(error, "%s has no moments yet", recorded->store->path)
             : fail(error, "%s has no process '%s'; heapprof recording lists them", recorded->store->path, process);
}

static bool fail_time(const struct recorded *recorded, const char *time, const struct span *span, GError **error)
{
  g_autofree char *first = amount_shown_time(span->first_ns), *last = amount_shown_time(span->last_ns);
  return fail(error, "%s has nothing of '%s'; its moments are from %s to %s", recorded->store->path, time, first, last);
}

static bool find_time(const struct recorded *recorded, const char *text, const struct span *span, int64_t *time_ns,
                      GError **error)
{
  *time_ns = span->last_ns;
  if (text == NULL || strcmp(text, "last") == 0 || strcmp(text, "largest") == 0)
    return true;
  if (strcmp(text, "first") == 0)
    *time_ns = span->first_ns;
  else if (!amount_time(text, span->last_ns, time_ns))
    return fail(error, "a moment is " AMOUNT_MOMENTS ", not '%s'", text);
  return *time_ns >= span->first_ns || fail_time(recorded, text, span, error);
}

/* --- the process --- */

static bool is_of_then(const struct process_row *row, int64_t time_ns)
{
  return row->first_ns <= time_ns && (row->ended_ns == 0 || row->last_ns >= time_ns);
}

static const struct process_row *fail_several(const struct recorded *recorded, const char *process, int64_t time_ns,
                                              GError **error)
{
  enum { SHOWN_MAX = 10 };
  unsigned count = 0;
  g_autoptr(GString) list = g_string_new(NULL);
  for (guint i = 0; i < recorded->processes->len; i++) {
    const struct process_row *row = row_at(recorded, i);
    if (is_meant(row, process) && is_of_then(row, time_ns) && count++ < SHOWN_MAX)
      g_string_append_printf(list, "%s%s %d", count > 1 ? ", " : "", row->program, row->pid);
  }
  (void)fail(error, "%s has %u processes then: %s%s; --process chooses one", recorded->store->path, count, list->str,
             count > SHOWN_MAX ? ", ..." : "");
  return NULL;
}

/* Those that ran then; where none did, the one that began last before. */
static const struct process_row *choose(const struct recorded *recorded, const char *process, int64_t time_ns,
                                        GError **error)
{
  const struct process_row *running = NULL, *latest = NULL;
  unsigned count = 0;
  for (guint i = 0; i < recorded->processes->len; i++) {
    const struct process_row *row = row_at(recorded, i);
    if (!is_meant(row, process) || row->first_ns > time_ns)
      continue;
    latest = row;
    if (!is_of_then(row, time_ns))
      continue;
    bool is_again = running != NULL && is_same_process(row, running);
    running = is_again && running->id > row->id ? running : row;
    count += !is_again;
  }
  if (count > 1)
    return fail_several(recorded, process, time_ns, error);
  return running != NULL ? running : latest;
}

static bool find_largest(const struct recorded *recorded, const struct process_row *row, int64_t *time_ns,
                         GError **error)
{
  return store_number(recorded->store, error, time_ns, row->last_ns,
                      "SELECT time_ns FROM moment WHERE process = ? ORDER BY in_use DESC, time_ns LIMIT 1", "i",
                      row->id);
}

static const struct process_row *find_row(const struct recorded *recorded, const struct recorded_words *words,
                                          int64_t *time_ns, GError **error)
{
  struct span span;
  if (!span_of(recorded, words->process, &span, error) || !find_time(recorded, words->time, &span, time_ns, error))
    return NULL;
  return choose(recorded, words->process, *time_ns, error);
}

const struct process_row *recorded_row(const struct recorded *recorded, const struct recorded_words *words,
                                       GError **error)
{
  int64_t time_ns;
  return find_row(recorded, words, &time_ns, error);
}

struct heap *recorded_heap(struct recorded *recorded, const struct recorded_words *words, GError **error)
{
  int64_t time_ns;
  const struct process_row *row = find_row(recorded, words, &time_ns, error);
  if (row == NULL)
    return NULL;
  if (g_strcmp0(words->time, "largest") == 0 && !find_largest(recorded, row, &time_ns, error))
    return NULL;
  return moment_read(recorded->store, recorded->texts, row->id, &time_ns, error);
}

sqlite3_stmt *recorded_query_kept(const struct recorded *recorded, GError **error)
{
  return store_query(recorded->store, error,
                     "SELECT kept.id, time_ns, kept.program, condition, value, pid FROM kept LEFT JOIN process ON "
                     "process.id = kept.process ORDER BY kept.id",
                     "");
}

/* Of one that was forgotten the number is not known any more. */
static bool is_kept_of(const struct recorded *recorded, const char *program, int64_t id, const char *process)
{
  guint64 pid;
  if (process == NULL || strcmp(program, process) == 0)
    return true;
  if (!g_ascii_string_to_unsigned(process, 10, 1, G_MAXINT, &pid, NULL))
    return false;
  for (guint i = 0; i < recorded->processes->len; i++)
    if (row_at(recorded, i)->id == id)
      return (guint64)row_at(recorded, i)->pid == pid;
  return true;
}

GBytes *recorded_kept(struct recorded *recorded, int64_t number, const char *process, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autoptr(sqlite3_stmt) query =
      store_query(recorded->store, &problem, "SELECT profile, program, process FROM kept WHERE id = ?", "i", number);
  if (query != NULL && store_next(recorded->store, query, &problem)) {
    g_autofree char *program = store_text(query, 1);
    if (!is_kept_of(recorded, program, sqlite3_column_int64(query, 2), process))
      return fail(error, "kept:%" G_GINT64_FORMAT " of %s is of %s, not of '%s'; heapprof recording lists them", number,
                  recorded->store->path, program, process),
             NULL;
    size_t size;
    const void *bytes = store_blob(query, 0, &size);
    return g_bytes_new(bytes, size);
  }
  if (problem != NULL)
    g_propagate_error(error, g_steal_pointer(&problem));
  else
    (void)fail(error, "%s has kept no profile %" G_GINT64_FORMAT "; heapprof recording lists them",
               recorded->store->path, number);
  return NULL;
}
