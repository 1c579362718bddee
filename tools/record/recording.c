/* SPDX-License-Identifier: MIT */
#include "tools/record/recording.h"

#include "tools/heap/save.h"
#include "tools/record/amount.h"
#include "tools/record/contents.h"
#include "tools/record/past.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/table.h"

#include <string.h>
#include <sys/stat.h>

/* --- listing --- */

static void put_time(struct table *table, int64_t time_ns)
{
  g_autofree char *shown = time_ns > 0 ? amount_shown_time(time_ns) : g_strdup("");
  table_put(table, shown);
}

static void put_number(struct table *table, int64_t number)
{
  g_autofree char *shown = g_strdup_printf("%" G_GINT64_FORMAT, number);
  table_put(table, shown);
}

/* At its last moment. */
static bool in_use_of(struct recorded *recorded, const struct process_row *row, int64_t *bytes, GError **error)
{
  return store_number(recorded->store, error, bytes, 0, "SELECT in_use FROM moment WHERE process = ? AND time_ns = ?",
                      "ii", row->id, row->last_ns);
}

/* What ran on may have ended since, or have been begun anew, below. */
static const char *state_of(const struct process_row *row)
{
  if (row->ended_ns == 0)
    return "";
  return row->is_left ? "left" : "ended";
}

static bool list_processes(struct recorded *recorded, GError **error)
{
  static const struct {
    const char *title;
    unsigned rank; /* in narrow terminals those of the lowest go first; 0: never */
  } columns[] = {{"PID", 0}, {"FROM", 1}, {"TO", 3}, {"MOMENTS", 2}, {"IN USE", 0}, {"STATE", 4}};
  if (recorded->processes->len == 0)
    return fputs("It has no processes\n", stdout) >= 0;
  struct table *table = table_new();
  bool is_sound = true;
  for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
    table_add_column_of_rank(table, columns[i].title, TABLE_RIGHT, columns[i].rank);
  table_add_column(table, "COMMAND", TABLE_LEFT);
  for (guint i = 0; is_sound && i < recorded->processes->len; i++) {
    int64_t in_use;
    const struct process_row *row = &g_array_index(recorded->processes, struct process_row, i);
    is_sound = in_use_of(recorded, row, &in_use, error);
    table_begin_row(table, COLOUR_NONE);
    put_number(table, row->pid);
    put_time(table, row->first_ns);
    put_time(table, row->last_ns);
    put_number(table, row->moments);
    table_put(table, quantity((double)in_use, "bytes").text);
    table_put(table, state_of(row));
    table_put(table, row->command[0] != '\0' ? row->command : row->program);
  }
  if (is_sound)
    table_print(table, stdout);
  table_free(table);
  return is_sound;
}

/* What the condition was about: a percentage, or bytes. */
static void put_value(struct table *table, const char *condition, double value)
{
  bool is_share = g_str_has_prefix(condition, "cgroup") || g_str_has_prefix(condition, "psi");
  g_autofree char *share = g_strdup_printf("%.1f%%", value);
  table_put(table, is_share ? share : quantity(value, "bytes").text);
}

static void put_kept(struct table *table, sqlite3_stmt *query)
{
  g_autofree char *name = g_strdup_printf(AMOUNT_KEPT "%" G_GINT64_FORMAT, (int64_t)sqlite3_column_int64(query, 0));
  g_autofree char *program = store_text(query, 2), *condition = store_text(query, 3);
  table_begin_row(table, COLOUR_NONE);
  table_put(table, name);
  put_time(table, sqlite3_column_int64(query, 1));
  table_put(table, condition);
  put_value(table, condition, sqlite3_column_double(query, 4));
  if (sqlite3_column_type(query, 5) == SQLITE_NULL) /* a process that was forgotten */
    table_put(table, "");
  else
    put_number(table, sqlite3_column_int64(query, 5));
  table_put(table, program);
}

static bool list_kept(struct recorded *recorded, GError **error)
{
  g_autoptr(GError) problem = NULL;
  unsigned count = 0;
  struct table *table = table_new();
  table_add_column(table, "KEPT", TABLE_LEFT);
  table_add_column_of_rank(table, "TIME", TABLE_RIGHT, 2);
  table_add_column(table, "CONDITION", TABLE_LEFT);
  table_add_column(table, "VALUE", TABLE_RIGHT);
  table_add_column_of_rank(table, "PID", TABLE_RIGHT, 1);
  table_add_column(table, "PROGRAM", TABLE_LEFT);
  g_autoptr(sqlite3_stmt) query = recorded_query_kept(recorded, &problem);
  for (; query != NULL && store_next(recorded->store, query, &problem); count++)
    put_kept(table, query);
  if (problem == NULL && count > 0) {
    (void)fputs("\n", stdout);
    table_print(table, stdout);
  }
  table_free(table);
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

static int list(const char *path)
{
  g_autoptr(GError) error = NULL;
  struct recorded *recorded = recorded_open(path, &error);
  if (recorded != NULL && list_processes(recorded, &error))
    (void)list_kept(recorded, &error);
  recorded_free(recorded);
  if (error == NULL)
    return finish_output(EXIT_OK);
  say("%s", error->message);
  return EXIT_FAILED;
}

/* --- for programs --- */

static int print(struct recorded *recorded, GString *json, GError *problem)
{
  g_autoptr(GError) error = problem;
  recorded_free(recorded);
  if (json == NULL) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  (void)fputs(json->str, stdout);
  (void)fputc('\n', stdout);
  g_string_free(json, TRUE);
  return finish_output(EXIT_OK);
}

static int print_json(const char *path)
{
  GError *error = NULL;
  struct recorded *recorded = recorded_open(path, &error);
  GString *json = recorded != NULL ? contents_json(recorded, &error) : NULL;
  return print(recorded, json, error);
}

static int print_timeline(const char *path, const char *process)
{
  GError *error = NULL;
  struct recorded_words words = {.process = process};
  struct recorded *recorded = recorded_open(path, &error);
  const struct process_row *row = recorded != NULL ? recorded_row(recorded, &words, &error) : NULL;
  GString *json = row != NULL ? past_json(recorded, row, &error) : NULL;
  return print(recorded, json, error);
}

/* --- writing --- */

static bool is_same_file(const char *path, const char *other)
{
  struct stat status, of_other;
  return stat(path, &status) == 0 && stat(other, &of_other) == 0 && status.st_dev == of_other.st_dev &&
         status.st_ino == of_other.st_ino;
}

/* Never over what it is taken from: that has all other moments. */
static bool write_bytes(GBytes *bytes, const struct recording_options *options, GError **error)
{
  if (options->replaces && is_same_file(options->path, options->output)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST, "%s is the recording itself, and is not replaced",
                options->output);
    return false;
  }
  return options->replaces ? save_file_replacing(bytes, options->output, error)
                           : save_file_new(bytes, options->output, error);
}

static GBytes *bytes_of_moment(struct recorded *recorded, const struct recording_options *options, GError **error)
{
  struct recorded_words words = {.process = options->process, .time = options->time};
  struct heap *heap = recorded_heap(recorded, &words, error);
  GBytes *bytes = heap != NULL ? save_bytes(heap, error) : NULL;
  if (heap != NULL)
    heap_free(heap);
  return bytes;
}

static GBytes *bytes_of(struct recorded *recorded, const struct recording_options *options, GError **error)
{
  gint64 number;
  if (options->time == NULL || !g_str_has_prefix(options->time, AMOUNT_KEPT))
    return bytes_of_moment(recorded, options, error);
  const char *text = options->time + strlen(AMOUNT_KEPT);
  if (g_ascii_string_to_signed(text, 10, 1, G_MAXINT64, &number, NULL))
    return recorded_kept(recorded, number, options->process, error);
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
              "a moment that was kept is kept:N, with a number of heapprof recording, not '%s'", options->time);
  return NULL;
}

static int export(const struct recording_options *options)
{
  g_autoptr(GError) error = NULL;
  struct recorded *recorded = recorded_open(options->path, &error);
  g_autoptr(GBytes) bytes = recorded != NULL ? bytes_of(recorded, options, &error) : NULL;
  bool is_written = bytes != NULL && write_bytes(bytes, options, &error);
  recorded_free(recorded);
  if (!is_written) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  if (strcmp(options->output, "-") != 0)
    put_name(options->output);
  return finish_output(EXIT_OK);
}

int recording_run(const struct recording_options *options)
{
  if (options->output != NULL)
    return export(options);
  if (options->has_timeline)
    return print_timeline(options->path, options->process);
  return options->lists_as_json ? print_json(options->path) : list(options->path);
}
