/* SPDX-License-Identifier: MIT */
#include "tools/record/record.h"

#include "tools/heap/wrappers.h"
#include "tools/record/amount.h"
#include "tools/record/recorder.h"
#include "tools/record/watch.h"
#include "tools/source/process_heap.h"
#include "tools/state/target_names.h"
#include "tools/terminal/ending.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <time.h>

struct record {
  const struct record_options *options;
  struct recorder *recorder;
  struct watch *watch;
  uint64_t lost;    /* moments that found no room, one after the other */
  bool has_any;     /* a process was recorded, or was seen to have ended */
  bool has_begun;   /* there was a moment: who was missing then was said */
  GHashTable *said; /* char *: lines, once each */
};

static void add_names(struct heap *heap, void *data)
{
  const struct target *target = data;
  struct symbols_options names = {
      .detail = SYMBOLS_LINES, .root = target->root, .pid = target->is_alive ? target->pid : 0};
  process_heap_add_names(heap, &names, target->owner, false);
  wrappers_strip(heap);
}

/* --- a moment --- */

/* Of a process that has gone meanwhile there is nothing: it had no heap then. */
static bool put(struct record *record, struct target *target, int64_t *process, GError **error)
{
  *process = 0;
  struct heap *heap = target_read(target, REGION_NOW, "record", NULL);
  if (heap == NULL)
    return true;
  g_autofree char *command = target_command(target);
  struct recorded_process who = {.pid = target->pid,
                                 .created_unix_ns = target->summary.created_unix_ns,
                                 .program = target->summary.program,
                                 .command = command,
                                 .resident_bytes = (int64_t)target_resident(target).now_bytes};
  *process = recorder_put(record->recorder, &who, heap, add_names, target, error);
  heap_free(heap);
  return *process != 0 &&
         watch_check(record->watch, record->recorder, *process, target->pid, target->summary.program, error);
}

/* int64_t: those that have not been seen to end. */
static GArray *living_rows(struct record *record, GError **error)
{
  g_autoptr(GError) problem = NULL;
  GArray *rows = g_array_new(FALSE, FALSE, sizeof(int64_t));
  g_autoptr(sqlite3_stmt) query =
      store_query(record->recorder->store, &problem, "SELECT id FROM process WHERE ended_ns IS NULL", "");
  while (query != NULL && store_next(record->recorder->store, query, &problem)) {
    int64_t id = sqlite3_column_int64(query, 0);
    g_array_append_val(rows, id);
  }
  if (problem == NULL)
    return rows;
  g_propagate_error(error, g_steal_pointer(&problem));
  g_array_free(rows, TRUE);
  return NULL;
}

static bool has(const GArray *rows, int64_t id)
{
  for (guint i = 0; i < rows->len; i++)
    if (g_array_index(rows, int64_t, i) == id)
      return true;
  return false;
}

/* The last words of a process that was recorded while it lived, if it has left its state. */
static bool put_last(struct record *record, struct target *target, const GArray *living, GError **error)
{
  int64_t process = process_row_find(record->recorder->store, target->pid, target->summary.created_unix_ns, NULL);
  return process == 0 || !has(living, process) || put(record, target, &process, error);
}

static bool put_living(struct record *record, const GPtrArray *targets, GArray *seen, GError **error)
{
  for (guint i = 0; i < targets->len; i++) {
    int64_t process = 0;
    struct target *target = g_ptr_array_index(targets, i);
    if (target->is_alive && !put(record, target, &process, error))
      return false;
    if (process != 0)
      g_array_append_val(seen, process);
  }
  return true;
}

/* int64_t: those that were recorded before, and not now. */
static GArray *unseen_of(const GArray *living, const GArray *seen)
{
  GArray *unseen = g_array_new(FALSE, FALSE, sizeof(int64_t));
  for (guint i = 0; i < living->len; i++)
    if (!has(seen, g_array_index(living, int64_t, i)))
      g_array_append_val(unseen, g_array_index(living, int64_t, i));
  return unseen;
}

/* One that lives is not recorded because nobody means it now, or because it could not be read for a moment. */
static bool end_one(struct record *record, struct target *target, GArray *unseen, GError **error)
{
  char *const *operands = record->options->operands;
  int64_t process = process_row_find(record->recorder->store, target->pid, target->summary.created_unix_ns, NULL);
  if (process == 0 || !has(unseen, process))
    return true;
  if (!target->is_alive)
    return !target_names_mean(operands, target) || put_last(record, target, unseen, error);
  for (guint i = unseen->len; i-- > 0;)
    if (g_array_index(unseen, int64_t, i) == process)
      g_array_remove_index(unseen, i);
  return target_names_mean(operands, target) || recorder_leave_process(record->recorder, process, error);
}

/* The rest of them has ended. Rare, so all processes are looked at. */
static bool end_unseen(struct record *record, GArray *unseen, GError **error)
{
  g_autoptr(GPtrArray) targets = unseen->len > 0 ? targets_scan(NULL) : NULL;
  for (guint i = 0; targets != NULL && i < targets->len; i++)
    if (!end_one(record, g_ptr_array_index(targets, i), unseen, error))
      return false;
  for (guint i = 0; i < unseen->len; i++)
    if (!recorder_end_process(record->recorder, g_array_index(unseen, int64_t, i), error))
      return false;
  record->has_any |= unseen->len > 0;
  return true;
}

static bool put_all(struct record *record, const GPtrArray *targets, GError **error)
{
  g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(int64_t)), living = NULL;
  if (!put_living(record, targets, seen, error) || (living = living_rows(record, error)) == NULL)
    return false;
  record->has_any |= seen->len > 0;
  g_autoptr(GArray) unseen = unseen_of(living, seen);
  return end_unseen(record, unseen, error);
}

static bool is_last(const struct record *record, uint64_t moments)
{
  return record->options->moments != 0 && moments >= record->options->moments;
}

/* A name that nobody has may be a wrong one. */
static void say_missing(struct record *record, const GPtrArray *targets)
{
  if (record->has_begun)
    return;
  g_autoptr(GPtrArray) missing = target_names_missing(record->options->operands, targets);
  for (guint i = 0; i < missing->len; i++)
    say("%s%s", (const char *)g_ptr_array_index(missing, i), is_last(record, 1) ? "" : " yet; waiting for one");
  record->has_begun = true;
}

static void say_reused(struct record *record)
{
  g_autoptr(GPtrArray) reused = target_names_reused(record->options->operands);
  for (guint i = 0; i < reused->len; i++)
    if (g_hash_table_add(record->said, g_strdup(g_ptr_array_index(reused, i))))
      say("%s", (const char *)g_ptr_array_index(reused, i));
}

static bool store_moment(struct record *record, GError **error)
{
  g_autoptr(GPtrArray) targets = target_names_scan(record->options->operands);
  say_missing(record, targets);
  say_reused(record);
  if (!recorder_begin(record->recorder, error))
    return false;
  if (put_all(record, targets, error))
    return recorder_end(record->recorder, error);
  recorder_give_up(record->recorder);
  watch_forget(record->watch);
  return false;
}

static int64_t now_ns(clockid_t clock)
{
  struct timespec now;
  (void)clock_gettime(clock, &now);
  return now.tv_sec * AMOUNT_SECOND_NS + now.tv_nsec;
}

/* False: it cannot go on. */
static bool take_moment(struct record *record)
{
  g_autoptr(GError) error = NULL;
  struct upkeep_time now = {.real_ns = g_get_real_time() * 1000, .boot_ns = now_ns(CLOCK_BOOTTIME)};
  bool is_stored = recorder_keep_up(record->recorder, now, &error) && store_moment(record, &error);
  if (is_stored && record->lost > 0)
    say("%s: it is recorded again; %" G_GUINT64_FORMAT " moments are missing", record->options->path, record->lost);
  record->lost = is_stored ? 0 : record->lost + 1;
  if (is_stored)
    return true;
  bool may_pass = error->code == STORE_ERROR_NO_ROOM && error->domain == STORE_ERROR;
  if (record->lost == 1 || !may_pass)
    say("%s%s", error->message, may_pass ? "; moments are lost until there is" : "");
  return may_pass;
}

/* --- again and again --- */

/* False: a signal asked for the end, perhaps before there was anything to wait for. */
static bool wait_until(int64_t end_ns, const sigset_t *signals)
{
  for (;;) {
    int64_t left_ns = MAX(end_ns - now_ns(CLOCK_MONOTONIC), 0);
    struct timespec left = {.tv_sec = left_ns / AMOUNT_SECOND_NS, .tv_nsec = left_ns % AMOUNT_SECOND_NS};
    if (sigtimedwait(signals, NULL, &left) > 0)
      return false;
    if (errno == EAGAIN)
      return true;
  }
}

static void say_start(const struct record_options *options)
{
  double seconds = (double)options->every_ns / (double)AMOUNT_SECOND_NS;
  if (seconds < 60)
    say("recording into %s every %.3g s", options->path, seconds);
  else
    say("recording into %s every %s", options->path, quantity_duration(seconds).text);
}

/* A moment that took longer than the time between two is followed by the next at once, not by several. */
static int run(struct record *record)
{
  const struct record_options *options = record->options;
  sigset_t signals;
  ending_hold(&signals);
  say_start(options);
  int64_t next_ns = now_ns(CLOCK_MONOTONIC);
  for (uint64_t moments = 0;;) {
    if (!take_moment(record))
      return EXIT_FAILED;
    if (is_last(record, ++moments))
      return record->has_any || options->operands[0] == NULL ? EXIT_OK : EXIT_FAILED;
    next_ns = MAX(next_ns + options->every_ns, now_ns(CLOCK_MONOTONIC));
    if (!wait_until(next_ns, &signals))
      return EXIT_OK;
  }
}

/* A number is that of a process that is there; a name may come later. */
static bool check_numbers(char *const *operands, GError **error)
{
  int pid;
  for (; *operands != NULL; operands++) {
    if (!target_names_is_number(*operands, &pid))
      continue;
    struct target *target = target_find_living(pid, error);
    if (target == NULL)
      return false;
    target_free(target);
  }
  return true;
}

int record_run(const struct record_options *asked)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) operands = target_names_pin(asked->operands);
  struct record_options pinned = *asked;
  const struct record_options *options = &pinned;
  pinned.operands = operands;
  struct upkeep upkeep = {.keep_ns = options->keep_ns, .size_bytes = options->size_bytes};
  struct store *store = check_numbers(options->operands, &error) ? store_create(options->path, &error) : NULL;
  struct record record = {.options = options, .recorder = store != NULL ? recorder_new(store, &upkeep, &error) : NULL};
  if (record.recorder == NULL) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  record.said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  record.watch = watch_new(options->conditions, options->last);
  int status = run(&record);
  watch_free(record.watch);
  g_hash_table_destroy(record.said);
  recorder_free(record.recorder);
  return status;
}
