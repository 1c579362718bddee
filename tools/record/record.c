/* SPDX-License-Identifier: MIT */
#include "tools/record/record.h"

#include "tools/heap/wrappers.h"
#include "tools/record/amount.h"
#include "tools/record/recorder.h"
#include "tools/record/watch.h"
#include "tools/source/process_heap.h"
#include "tools/source/source.h"
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
  uint64_t lost; /* moments that found no room, one after the other */
};

/* --- which processes --- */

static bool is_meant(const struct target *target, char *const *operands)
{
  int pid;
  for (char *const *operand = operands; *operand != NULL; operand++)
    if (source_is_pid(*operand, &pid) ? pid == target->pid : target_names_is(target, *operand))
      return true;
  return operands[0] == NULL;
}

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
                                 .command = command};
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

static bool put_all(struct record *record, const GPtrArray *targets, const GArray *living, GArray *seen, GError **error)
{
  for (guint i = 0; i < targets->len; i++) {
    int64_t process = 0;
    struct target *target = g_ptr_array_index(targets, i);
    if (!is_meant(target, record->options->operands))
      continue;
    if (!(target->is_alive ? put(record, target, &process, error) : put_last(record, target, living, error)))
      return false;
    if (process != 0)
      g_array_append_val(seen, process);
  }
  return true;
}

static bool end_unseen(struct record *record, const GArray *living, const GArray *seen, GError **error)
{
  for (guint i = 0; i < living->len; i++) {
    int64_t id = g_array_index(living, int64_t, i);
    if (!has(seen, id) && !recorder_end_process(record->recorder, id, error))
      return false;
  }
  return true;
}

static bool store_moment(struct record *record, GError **error)
{
  g_autoptr(GPtrArray) targets = targets_scan(NULL);
  g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(int64_t)), living = NULL;
  if (!recorder_begin(record->recorder, error))
    return false;
  if ((living = living_rows(record, error)) != NULL && put_all(record, targets, living, seen, error) &&
      end_unseen(record, living, seen, error))
    return recorder_end(record->recorder, error);
  recorder_give_up(record->recorder);
  watch_forget(record->watch);
  return false;
}

/* False: it cannot go on. */
static bool take_moment(struct record *record)
{
  g_autoptr(GError) error = NULL;
  int64_t now_ns = g_get_real_time() * 1000;
  bool is_stored = recorder_keep_up(record->recorder, now_ns, &error) && store_moment(record, &error);
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

static int64_t now_boot_ns(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * AMOUNT_SECOND_NS + now.tv_nsec;
}

/* False: a signal asked for the end, perhaps before there was anything to wait for. */
static bool wait_until(int64_t end_ns, const sigset_t *signals)
{
  for (;;) {
    int64_t left_ns = MAX(end_ns - now_boot_ns(), 0);
    struct timespec left = {.tv_sec = left_ns / AMOUNT_SECOND_NS, .tv_nsec = left_ns % AMOUNT_SECOND_NS};
    if (sigtimedwait(signals, NULL, &left) > 0)
      return false;
    if (errno == EAGAIN)
      return true;
  }
}

/* A moment that took longer than the time between two is followed by the next at once, not by several. */
static int run(struct record *record)
{
  const struct record_options *options = record->options;
  sigset_t signals;
  ending_hold(&signals);
  say("recording into %s every %s", options->path,
      quantity_duration((double)options->every_ns / (double)AMOUNT_SECOND_NS).text);
  int64_t next_ns = now_boot_ns();
  for (uint64_t moments = 0;;) {
    if (!take_moment(record))
      return EXIT_FAILED;
    if (++moments == options->moments)
      return EXIT_OK;
    next_ns = MAX(next_ns + options->every_ns, now_boot_ns());
    if (!wait_until(next_ns, &signals))
      return EXIT_OK;
  }
}

/* A number is that of a process that is there; a name may come later. */
static bool check_numbers(char *const *operands, GError **error)
{
  int pid;
  for (; *operands != NULL; operands++) {
    if (!source_is_pid(*operands, &pid))
      continue;
    struct target *target = target_find_living(pid, error);
    if (target == NULL)
      return false;
    target_free(target);
  }
  return true;
}

int record_run(const struct record_options *options)
{
  g_autoptr(GError) error = NULL;
  struct upkeep upkeep = {.keep_ns = options->keep_ns, .size_bytes = options->size_bytes};
  struct store *store = check_numbers(options->operands, &error) ? store_create(options->path, &error) : NULL;
  struct record record = {.options = options, .recorder = store != NULL ? recorder_new(store, &upkeep, &error) : NULL};
  if (record.recorder == NULL) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  record.watch = watch_new(options->conditions, options->last);
  int status = run(&record);
  watch_free(record.watch);
  recorder_free(record.recorder);
  return status;
}
