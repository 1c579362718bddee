/* SPDX-License-Identifier: MIT */
#include "tools/run/collect.h"

#include "tools/filter/filter.h"
#include "tools/heap/save.h"
#include "tools/heap/wrappers.h"
#include "tools/run/child.h"
#include "tools/run/output_name.h"
#include "tools/run/run_folder.h"
#include "tools/source/process_heap.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"
#include "tools/views/view.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  MANY_FILES = 32,          /* as many may lie there while the program runs */
  TIME_LIMIT_US = 60000000, /* for lines: nobody waits long after a program has ended */
  TURN_MS = 500,
  ENDING_TURNS = 20, /* for descendants that are about to end as well */
  ENDING_TURN_US = 15000,
};

/* What is looked up. Each takes less time and trust than the one before. */
enum detail { DETAIL_LINES, DETAIL_NAMES, DETAIL_NOTHING };

/* What the worker writes down for us, one after the other. */
struct report {
  struct collected_profile profile; /* without its path */
  bool is_saved;
  bool is_drafted;     /* else */
  char text[PATH_MAX]; /* the path, or why there is none */
};

static void free_profile(gpointer data)
{
  struct collected_profile *profile = data;
  g_free(profile->path);
  g_free(profile);
}

void collection_init(struct collection *collection, const char *folder, const char *pattern)
{
  *collection = (struct collection){.folder = folder,
                                    .pattern = pattern,
                                    .peak_limit_bytes = INFINITY,
                                    .reports = -1,
                                    .draft = -1,
                                    .patience = MANY_FILES};
  collection->profiles = g_ptr_array_new_with_free_func(free_profile);
}

void collection_clear(struct collection *collection)
{
  g_ptr_array_unref(collection->profiles);
  g_free(collection->problem);
  g_clear_pointer(&collection->lost, free_profile);
  if (collection->reports >= 0)
    close(collection->reports);
  if (collection->draft >= 0)
    close(collection->draft);
}

/* In the worker. */

static void set_interruptible(bool can_be)
{
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGTERM);
  sigprocmask(can_be ? SIG_UNBLOCK : SIG_BLOCK, &one, NULL);
}

static void add_names(struct heap *heap, enum detail detail, bool shows_progress)
{
  struct symbols_options options = {.detail = detail == DETAIL_LINES ? SYMBOLS_LINES : SYMBOLS_NAMES,
                                    .shows_progress = shows_progress};
  if (detail != DETAIL_NOTHING)
    process_heap_add_names(heap, &options, geteuid(), true);
}

static double variance_of(const struct heap *heap, const char *type_name)
{
  int type = heap_find_type(heap, type_name);
  double variance = 0;
  for (guint i = 0; i < heap->samples->len; i++)
    variance += heap_variance(heap, i, type);
  return variance;
}

/* Limits are for the peak alone: the higher of two estimates is too high (docs/sampling.md, 9). */
static void measure_peak(const struct heap *heap, const struct left_state *left, struct collected_profile *profile)
{
  bool is_below = left->summary.peak_bytes < left->summary.in_use_bytes;
  profile->peak_bytes = left->summary.peak_bytes;
  profile->peak_variance = variance_of(heap, HEAP_PEAK_SPACE);
  profile->most_bytes = is_below ? left->summary.in_use_bytes : profile->peak_bytes;
  profile->most_variance = is_below ? variance_of(heap, "inuse_space") : profile->peak_variance;
}

/* Names what owns most of the peak. */
static void find_peak_site(struct heap *heap, struct collected_profile *profile)
{
  source_drop_frames(heap);
  filter_apply(NULL, heap, NULL);
  struct rows *rows = rows_of(heap, heap_find_type(heap, HEAP_PEAK_SPACE), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  if (rows->rows->len > 0) {
    const struct row *row = &g_array_index(rows->rows, struct row, 0);
    g_autofree char *name = view_row_name(row);
    g_strlcpy(profile->peak_site, name, sizeof profile->peak_site);
    profile->peak_site_bytes = row->flat;
  }
  rows_free(rows);
}

static struct heap *read_profile(const struct collection *collection, const struct left_state *left, enum detail detail,
                                 struct report *report, GError **error)
{
  struct heap *heap = region_file_read(left->file, REGION_NOW, "heapprof run", error);
  if (heap == NULL)
    return NULL;
  measure_peak(heap, left, &report->profile);
  add_names(heap, detail, collection->has_ended);
  wrappers_strip(heap);
  return heap;
}

/* There is no place for it, but it can be told what is in it. Of several, of the one with the highest peak. */
static bool write_draft(const struct collection *collection, const struct heap *heap, double peak_bytes)
{
  static double most_bytes = -1;
  g_autoptr(GBytes) bytes = peak_bytes > most_bytes ? save_bytes(heap, NULL) : NULL;
  if (bytes == NULL)
    return false;
  gsize size;
  const void *data = g_bytes_get_data(bytes, &size);
  most_bytes = peak_bytes;
  return ftruncate(collection->draft, 0) == 0 && pwrite(collection->draft, data, size, 0) == (ssize_t)size;
}

static void collect_one(const struct collection *collection, const struct left_state *left, enum detail detail)
{
  struct report report = {.profile = {.pid = left->summary.pid,
                                      .samples = left->summary.samples,
                                      .in_use_bytes = left->summary.in_use_bytes,
                                      .resident_most_bytes = left->summary.resident_most_bytes,
                                      .has_status = left->summary.has_ended,
                                      .exit_status = left->summary.exit_status,
                                      .is_whole = left->summary.is_whole}};
  g_autoptr(GError) error = NULL;
  g_autofree char *path = NULL;
  g_strlcpy(report.profile.program, left->summary.program, sizeof report.profile.program);
  g_strlcpy(report.profile.command, left->summary.command, sizeof report.profile.command);
  set_interruptible(true);
  struct heap *heap = read_profile(collection, left, detail, &report, &error);
  set_interruptible(false);
  if (heap != NULL)
    path = output_save(heap, collection->pattern, left->summary.program, left->summary.pid, &error);
  /* It is saved, and may be changed. */
  if (path != NULL && report.profile.peak_bytes > collection->peak_limit_bytes)
    find_peak_site(heap, &report.profile);
  if (path != NULL && collection->finds_leaks && report.profile.has_status)
    leaks_measure(heap, collection->ignored, &report.profile.leaks);
  if (path != NULL)
    run_folder_remove_file(left);
  report.is_saved = path != NULL;
  report.is_drafted = path == NULL && heap != NULL && write_draft(collection, heap, report.profile.peak_bytes);
  g_strlcpy(report.text, path != NULL ? path : error->message, sizeof report.text);
  (void)!write(collection->reports, &report, sizeof report);
  if (heap != NULL)
    heap_free(heap);
}

static void work(const struct collection *collection, enum detail detail)
{
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigaction(SIGTERM, &usual, NULL);
  GArray *all = run_folder_left(collection->folder);
  for (guint i = 0; i < all->len; i++) {
    const struct left_state *left = &g_array_index(all, struct left_state, i);
    if (left->summary.samples > 0 || left->summary.stacks > 0)
      collect_one(collection, left, detail);
    else
      run_folder_remove_file(left);
  }
  g_array_unref(all);
}

/* In us. */

static bool start_worker(struct collection *collection, enum detail detail)
{
  if (collection->reports < 0)
    collection->reports = memfd_create("heapprof-reports", MFD_CLOEXEC);
  if (collection->draft < 0)
    collection->draft = memfd_create("heapprof-draft", MFD_CLOEXEC);
  pid_t worker = collection->reports >= 0 ? fork() : -1;
  if (worker == 0) {
    work(collection, detail);
    _exit(EXIT_SUCCESS);
  }
  if (worker < 0)
    return false;
  collection->worker = worker;
  g_clear_pointer(&collection->problem, g_free); /* it will try that again */
  g_clear_pointer(&collection->lost, free_profile);
  return true;
}

/* It owns the path. */
static struct collected_profile *profile_of(const struct report *report, char *path)
{
  struct collected_profile *profile = g_new(struct collected_profile, 1);
  *profile = report->profile;
  profile->path = path;
  return profile;
}

static void add_report(struct collection *collection, const struct report *report)
{
  if (report->is_saved) {
    g_ptr_array_add(collection->profiles, profile_of(report, g_strdup(report->text)));
    return;
  }
  if (report->is_drafted) {
    g_clear_pointer(&collection->lost, free_profile);
    collection->lost = profile_of(report, g_strdup_printf("/proc/self/fd/%d", collection->draft));
  }
  if (collection->problem == NULL)
    collection->problem = g_strdup(report->text);
}

static void read_reports(struct collection *collection)
{
  struct report report;
  while (pread(collection->reports, &report, sizeof report, (off_t)(collection->reports_read * sizeof report)) ==
         (ssize_t)sizeof report) {
    collection->reports_read++;
    add_report(collection, &report);
  }
}

/* What came of the worker. */
enum outcome { AT_WORK, DONE, FAILED, CUT_SHORT, OUT_OF_TIME };

static enum outcome ask_worker(struct collection *collection)
{
  int status;
  pid_t ended = waitpid(collection->worker, &status, WNOHANG);
  if (ended == 0)
    return AT_WORK;
  collection->worker = 0;
  read_reports(collection);
  return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? DONE : FAILED;
}

void collection_keep_up(void *argument)
{
  struct collection *collection = argument;
  if (collection->folder == NULL)
    return;
  if (collection->worker != 0 && ask_worker(collection) == AT_WORK)
    return;
  g_autoptr(GPtrArray) files = run_folder_list(collection->folder);
  if (files->len > collection->patience && start_worker(collection, DETAIL_LINES))
    collection->patience = files->len + MANY_FILES; /* all of these may belong to running processes */
  else
    collection->patience = MIN(collection->patience, files->len + MANY_FILES);
}

/* The signals by which a person or a supervisor ends us. */
static sigset_t ending_signals(void)
{
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGQUIT);
  return signals;
}

/* Waits for the worker, unless something more important comes: the worker then ends soon, whether or not it has written
 * what it was working on. */
static enum outcome wait_for_worker(struct collection *collection, gint64 deadline_us)
{
  sigset_t signals = ending_signals();
  enum outcome reason = AT_WORK, outcome;
  while ((outcome = ask_worker(collection)) == AT_WORK) {
    int number = child_wait_for_signal(&signals, TURN_MS);
    if (number != 0 && number != SIGCHLD)
      reason = CUT_SHORT;
    else if (reason == AT_WORK && g_get_monotonic_time() > deadline_us)
      reason = OUT_OF_TIME;
    if (reason != AT_WORK)
      kill(collection->worker, SIGTERM);
  }
  return outcome == DONE || reason == AT_WORK ? outcome : reason;
}

/* Descendants often end shortly after the program. */
static void let_them_end(const struct collection *collection)
{
  for (int turn = 0; turn < ENDING_TURNS; turn++) {
    g_autoptr(GArray) running = run_folder_running(collection->folder);
    if (running->len == 0)
      return;
    g_usleep(ENDING_TURN_US);
  }
}

static void explain(enum outcome outcome, enum detail detail)
{
  static const char *const reasons[] = {
      [FAILED] = "reading debug information failed",
      [CUT_SHORT] = "interrupted",
      [OUT_OF_TIME] = "reading debug information takes too long",
  };
  if (terminal_width(stderr) > 0)
    fputs("\r\033[K", stderr); /* the worker's progress */
  say("%s: profiles are written without %s; heapprof symbolize adds them", reasons[outcome],
      detail == DETAIL_LINES ? "lines" : "names");
}

void collection_finish(struct collection *collection)
{
  static const struct timespec at_once = {0, 0};
  sigset_t signals = ending_signals();
  collection->has_ended = true;
  if (collection->folder == NULL)
    return;
  while (sigtimedwait(&signals, NULL, &at_once) > 0)
    continue; /* they were for the program, which has ended */
  let_them_end(collection);
  gint64 deadline_us = g_get_monotonic_time() + TIME_LIMIT_US;
  if (collection->worker != 0)
    (void)wait_for_worker(collection, deadline_us);
  for (enum detail detail = DETAIL_LINES; start_worker(collection, detail); detail++) {
    enum outcome outcome = wait_for_worker(collection, deadline_us);
    if (outcome == DONE || detail == DETAIL_NOTHING)
      break;
    explain(outcome, detail);
    deadline_us = g_get_monotonic_time() + TIME_LIMIT_US / 6;
  }
  g_autoptr(GArray) left = run_folder_left(collection->folder), running = run_folder_running(collection->folder);
  g_autoptr(GPtrArray) files = run_folder_list(collection->folder);
  collection->kept = running->len > 0 ? left->len : files->len; /* also those that cannot be read */
}
