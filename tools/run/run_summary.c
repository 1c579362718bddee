/* SPDX-License-Identifier: MIT */
#include "tools/run/run_summary.h"

#include "core/comments.h"
#include "tools/filter/filter.h"
#include "tools/heap/load.h"
#include "tools/run/oom_kills.h"
#include "tools/run/output_name.h"
#include "tools/run/process_table.h"
#include "tools/run/run_folder.h"
#include "tools/source/source.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/views/rows.h"
#include "tools/views/view.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOP = 3, RUNNING_SHOWN = 8 };

static char *typed(const char *path)
{
  g_autofree char *shown = output_shown(path);
  const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+,=@%^:";
  bool is_plain = shown[0] != '-' && shown[strspn(shown, plain)] == '\0';
  return is_plain ? g_steal_pointer(&shown) : g_shell_quote(shown);
}

/* Where none could be written, it is one that was lost. */
static const struct collected_profile *main_profile(const struct collection *collection)
{
  const struct collected_profile *best = collection->profiles->len == 0 ? collection->lost : NULL;
  for (guint i = 0; i < collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(collection->profiles, i);
    bool is_equal = best != NULL && profile->most_bytes == best->most_bytes && profile->pid == collection->program;
    if (best == NULL || profile->most_bytes > best->most_bytes || is_equal)
      best = profile;
  }
  return best;
}

/* What heapprof top shows of it. */
struct shown_rows {
  const char *label;
  const struct rows *rows;
};

static struct shown_rows choose_rows(const struct rows *in_use, const struct rows *peak, const struct rows *allocated)
{
  if (view_is_next_to_nothing(in_use->total, peak->total))
    return (struct shown_rows){"top at the peak", peak};
  if (in_use->total > 0)
    return (struct shown_rows){"top in use", in_use};
  return (struct shown_rows){"top allocated", allocated};
}

/* Lines. */

static void begin_line(FILE *text, const char *label)
{
  fprintf(text, "%-10s%s%-15s%s ", ftell(text) == 0 ? "heapprof:" : "", colour(stderr, COLOUR_BOLD), label,
          colour(stderr, COLOUR_NONE));
}

static void put_estimate(FILE *text, double value, double variance)
{
  struct quantity_text error = quantity_error(value, variance, "bytes");
  fprintf(text, "%s%s", quantity(value, "bytes").text, variance == 0 && value != 0 ? ", " : " ");
  put_printable(text, error.text);
}

/* Of one process and of all there are two estimates, and where the others hold next to nothing they may be in the wrong
 * order, by chance: then the former is the better one (docs/sampling.md, 9). */
static void put_tree_peak(FILE *text, const struct run_result *result)
{
  struct region_half peak = tree_peak_of(result->tree_peak);
  for (guint i = 0; i < result->collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(result->collection->profiles, i);
    if (profile->most_bytes > peak.bytes)
      peak = (struct region_half){profile->most_bytes, profile->most_variance};
  }
  begin_line(text, "peak of all");
  put_estimate(text, peak.bytes, peak.variance);
  fprintf(text, "%s in %u processes at a moment\n", peak.variance == 0 && peak.bytes != 0 ? "," : "",
          result->collection->profiles->len);
}

static void put_peak(FILE *text, const struct collected_profile *profile, bool is_alone)
{
  begin_line(text, is_alone ? "peak" : "largest");
  put_estimate(text, profile->most_bytes, profile->most_variance);
  fputs(" (", text);
  put_printable(text, profile->program);
  fprintf(text, ", %d%s)\n", profile->pid, profile->is_whole ? "" : ", incomplete: its state file could not grow");
}

/* Bytes and objects together are counted (docs/sampling.md, 5), and only the share of the bytes is estimated. */
static double count_allocated(const struct heap *heap, const struct rows *allocated)
{
  uint64_t exact, estimated;
  bool is_counted = heap_comment_number(heap, COMMENT_exact_units, &exact) &&
                    heap_comment_number(heap, COMMENT_estimated_units, &estimated) && exact > 0 && estimated > 0;
  return is_counted ? allocated->total * ((double)exact / (double)estimated) : allocated->total;
}

/* An estimate may be more than all that was allocated. */
static void put_in_use(FILE *text, const struct heap *heap, const struct rows *in_use, const struct rows *allocated)
{
  double all = count_allocated(heap, allocated);
  begin_line(text, "in use at exit");
  put_estimate(text, in_use->total, in_use->total_variance);
  fprintf(text, " of %s allocated%s", quantity(all, "bytes").text, in_use->total > all ? " (counted)" : "");
}

static void put_end(FILE *text, int wait_status, bool is_program)
{
  if (is_program && WIFSIGNALED(wait_status))
    fprintf(text, "; killed by SIG%s", sigabbrev_np(WTERMSIG(wait_status)));
  fputc('\n', text);
}

/* Python hands its objects out from blocks that it maps. */
static void put_python(FILE *text, const struct collected_profile *profile)
{
  const char *allocator = g_getenv("PYTHONMALLOC");
  if (!g_str_has_prefix(profile->program, "python") || (allocator != NULL && g_str_has_prefix(allocator, "malloc")))
    return;
  begin_line(text, "python");
  fputs("PYTHONMALLOC=malloc heapprof run ... shows its objects, too\n", text);
}

/* Twice what malloc gave, and more: then the answer may lie elsewhere. */
static void put_resident(FILE *text, const struct collected_profile *profile)
{
  enum { LEAST_BYTES = 32 << 20 };
  double most = (double)profile->resident_most_bytes;
  if (most == 0)
    return;
  begin_line(text, "resident");
  fprintf(text, "%s at most", quantity(most, "bytes").text);
  bool is_elsewhere = most >= LEAST_BYTES && most > 2 * profile->most_bytes;
  if (is_elsewhere)
    fprintf(text, ": malloc explains %s; the rest is files, stacks, what is mapped directly, the allocator's own",
            quantity_percentage(profile->most_bytes, most).text);
  fputc('\n', text);
  if (is_elsewhere)
    put_python(text, profile);
}

/* How the program's calls came to be seen, where that is unusual. */
static void put_hooks(FILE *text, const struct heap *heap)
{
  const char *hooks = heap_comment(heap, COMMENT_hooks);
  if (hooks == NULL)
    return;
  begin_line(text, "hooks");
  put_printable(text, hooks);
  fputc('\n', text);
}

static void put_top(FILE *text, const struct shown_rows *shown)
{
  begin_line(text, shown->label);
  for (guint i = 0; i < shown->rows->rows->len && i < TOP; i++) {
    const struct row *row = &g_array_index(shown->rows->rows, struct row, i);
    if (row->flat <= 0)
      break;
    fprintf(text, "%s%s ", i > 0 ? ", " : "", quantity(row->flat, "bytes").text);
    put_printable(text, row->name);
  }
  fputc('\n', text);
}

static void put_cut(FILE *text, const struct rows *rows)
{
  g_autofree char *share = cut_share_text(&rows->cut, rows->type_name);
  if (share == NULL)
    return;
  begin_line(text, "cut stacks");
  put_printable(text, share);
  fputc('\n', text);
}

static void put_files(FILE *text, const struct run_result *result, const struct collected_profile *profile,
                      const GPtrArray *written)
{
  guint others = result->collection->profiles->len - 1;
  g_autofree char *shown = output_shown(profile->path);
  begin_line(text, "files");
  put_printable(text, shown);
  if (others > 0)
    fprintf(text, " and %u of other processes", others);
  if (written->len > 0) {
    g_autofree char *first = output_shown(g_ptr_array_index(written, 0));
    fputs("; written while it ran: ", text);
    put_printable(text, first);
    if (written->len > 1)
      fprintf(text, " and %u more", written->len - 1);
  }
  fputc('\n', text);
  if (result->merged != NULL) {
    g_autofree char *sum = output_shown(result->merged);
    begin_line(text, "sum of all");
    put_printable(text, sum);
    fputc('\n', text);
  }
}

static void put_next(FILE *text, const struct run_result *result, const struct collected_profile *profile)
{
  begin_line(text, "next");
  if (profile == result->collection->lost) {
    fprintf(text, "heapprof recover %d\n", profile->pid);
    return;
  }
  g_autofree char *file = typed(result->merged != NULL ? result->merged : profile->path);
  fputs("heapprof top ", text);
  put_printable(text, file);
  fputc('\n', text);
}

static struct rows *rows_of_type(const struct heap *heap, const char *name)
{
  return rows_of(heap, heap_find_type(heap, name), ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
}

static void put_lines(FILE *text, const struct run_result *result, const struct collected_profile *profile,
                      const GPtrArray *written, struct heap *heap)
{
  source_drop_frames(heap);
  filter_apply(NULL, heap, NULL);
  struct rows *in_use = rows_of_type(heap, "inuse_space"), *allocated = rows_of_type(heap, "alloc_space"),
              *peak = rows_of_type(heap, HEAP_PEAK_SPACE);
  struct shown_rows shown = choose_rows(in_use, peak, allocated);
  bool is_lost = profile == result->collection->lost, is_alone = is_lost || result->collection->profiles->len == 1;
  if (!is_alone)
    put_tree_peak(text, result);
  put_peak(text, profile, is_alone);
  put_in_use(text, heap, in_use, allocated);
  put_end(text, result->wait_status, profile->pid == result->collection->program);
  put_resident(text, profile);
  put_hooks(text, heap);
  put_top(text, &shown);
  put_cut(text, shown.rows);
  if (!is_lost)
    put_files(text, result, profile, written);
  put_next(text, result, profile);
  if (!is_alone)
    process_table_put(text, result->collection, result->wait_status, stderr);
  rows_free(in_use);
  rows_free(peak);
  rows_free(allocated);
}

static void print_lines(const struct run_result *result, const GPtrArray *written)
{
  const struct collected_profile *profile = main_profile(result->collection);
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_file(profile->path, &error);
  if (heap == NULL) {
    say("%s", error->message);
    return;
  }
  char *lines = NULL;
  size_t size;
  FILE *text = open_memstream(&lines, &size);
  put_lines(text, result, profile, written, heap);
  if (fclose(text) == 0)
    (void)!write(STDERR_FILENO, lines, size);
  free(lines);
  heap_free(heap);
}

/* What is not as usual. */

static void tell_running(const char *folder)
{
  g_autoptr(GArray) running = run_folder_running(folder);
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < running->len && i < RUNNING_SHOWN; i++) {
    const struct running_process *process = &g_array_index(running, struct running_process, i);
    g_string_append_printf(text, "%s%d (%s)", i > 0 ? ", " : "", process->pid, process->program);
  }
  if (running->len > RUNNING_SHOWN)
    g_string_append_printf(text, " and %u more", running->len - RUNNING_SHOWN);
  if (running->len > 0)
    say("still running and profiled: %s; heapprof ls shows them", text->str);
}

/* As heapprof recover takes them. */
static char *kept_pids(const char *folder)
{
  g_autoptr(GArray) left = run_folder_left(folder);
  GString *pids = g_string_new(left->len > 0 ? NULL : " PID");
  for (guint i = 0; i < left->len && i < RUNNING_SHOWN; i++)
    g_string_append_printf(pids, " %d", g_array_index(left, struct left_state, i).summary.pid);
  if (left->len > RUNNING_SHOWN)
    g_string_append_printf(pids, " and %u more", left->len - RUNNING_SHOWN);
  return g_string_free(pids, FALSE);
}

static void tell_kept(const struct collection *collection)
{
  if (collection->kept == 0)
    return;
  g_autofree char *pids = kept_pids(collection->folder);
  bool is_one = collection->kept == 1;
  say("%s; the state of %u process%s stays in %s: heapprof ls lists %s, heapprof recover%s in another directory writes "
      "%s",
      collection->problem != NULL ? collection->problem : "not every profile could be written", collection->kept,
      is_one ? "" : "es", collection->folder, is_one ? "it" : "them", pids, is_one ? "the profile" : "the profiles");
}

/* Who reads the name that was asked for reads an older run's. */
static void tell_renamed(const struct run_result *result)
{
  const struct collection *collection = result->collection;
  for (guint i = 0; i < collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(collection->profiles, i);
    g_autofree char *first = output_name(collection->pattern, profile->program, profile->pid, 1);
    struct stat status;
    if (strcmp(first, profile->path) == 0 || stat(first, &status) != 0 || output_clock_of(&status) > result->started_ns)
      continue;
    g_autofree char *old = typed(first), *new = typed(profile->path);
    say("%s is of an earlier run and is kept; this run's is %s", old, new);
    return;
  }
}

/* The kernel's counter says who it was. */
static void tell_kills(const struct run_result *result, bool is_quiet)
{
  int64_t now = oom_kills();
  bool is_killed = WIFSIGNALED(result->wait_status) && WTERMSIG(result->wait_status) == SIGKILL;
  if (result->oom_kills < 0 || now < 0)
    return;
  if (now > result->oom_kills)
    say("out of memory: the kernel has killed %" PRId64 " process%s in this memory cgroup while it ran",
        now - result->oom_kills, now - result->oom_kills == 1 ? "" : "es");
  else if (is_killed && !is_quiet)
    say("%s was killed by SIGKILL, but not for want of memory in its cgroup: the kernel's counter has not moved",
        result->name);
}

/* Far more in memory than was seen: libraries and files that are mapped explain some of it, not this. */
static bool is_mostly_unseen(const struct run_result *result, double seen_bytes)
{
  enum { LEAST_BYTES = 64 << 20, TIMES = 10 };
  return (double)result->resident_bytes >= MAX(LEAST_BYTES, TIMES * seen_bytes);
}

static void tell_unseen(const struct run_result *result, double seen_bytes)
{
  struct quantity_text resident = quantity((double)result->resident_bytes, "bytes"),
                       seen = quantity(seen_bytes, "bytes");
  say("%s, or a process that it waited for, had %s in memory, of which %s was seen: what is mapped, or comes from an "
      "allocator of the program's own under other names (static jemalloc, arenas), is not%s",
      result->name, resident.text, seen_bytes > 0 ? seen.text : "nothing",
      result->follows ? "" : ", nor are the programs that it starts, by --no-follow or HEAPPROF_FOLLOW");
}

static void tell_nothing(const struct run_result *result)
{
  const char *only = g_getenv("HEAPPROF_ONLY");
  /* So little that recording all of it costs nothing. */
  const char *advice = g_strcmp0(result->sample, "1") != 0 ? " (try --sample=1)" : "";
  if (!result->is_profiled)
    return;
  if (only == NULL && is_mostly_unseen(result, 0))
    tell_unseen(result, 0);
  else if (only != NULL)
    say("nothing was sampled: HEAPPROF_ONLY=%s leaves it out, or %s allocated too little%s", only, result->name,
        advice);
  else
    say("nothing was sampled: %s allocated %s%s, or the library stood aside (HEAPPROF_VERBOSE=1 tells why)",
        result->name, advice[0] != '\0' ? "too little" : "nothing", advice);
}

/* Of more than one process, nobody knows which had the memory. */
static void tell_if_unseen(const struct run_result *result)
{
  const struct collected_profile *profile = main_profile(result->collection);
  if (profile->is_whole && is_mostly_unseen(result, profile->most_bytes))
    tell_unseen(result, profile->most_bytes);
}

static void tell_written(const GPtrArray *written)
{
  g_autofree char *last = typed(g_ptr_array_index(written, written->len - 1));
  say("%u profile%s written by the program itself; next: heapprof top %s", written->len, written->len == 1 ? "" : "s",
      last);
}

static void remove_path(GPtrArray *paths, const char *path)
{
  guint index;
  if (g_ptr_array_find_with_equal_func(paths, path, g_str_equal, &index))
    g_ptr_array_remove_index(paths, index);
}

/* Profiles that processes wrote by themselves: when asked by a signal or through the API, or where their state could
 * not be kept in a file. */
static GPtrArray *written_by_themselves(const struct run_result *result)
{
  const struct collection *collection = result->collection;
  GPtrArray *paths = output_names_since(collection->pattern, collection->program, result->started_ns);
  for (guint i = 0; i < collection->profiles->len; i++) {
    const struct collected_profile *profile = g_ptr_array_index(collection->profiles, i);
    g_autoptr(GPtrArray) others = output_names_since(collection->pattern, profile->pid, result->started_ns);
    for (guint k = 0; k < others->len && profile->pid != collection->program; k++)
      g_ptr_array_add(paths, g_strdup(g_ptr_array_index(others, k)));
  }
  for (guint i = 0; i < collection->profiles->len; i++)
    remove_path(paths, ((const struct collected_profile *)g_ptr_array_index(collection->profiles, i))->path);
  if (result->merged != NULL)
    remove_path(paths, result->merged);
  return paths;
}

void run_summary_print(const struct run_result *result, bool is_quiet)
{
  const struct collection *collection = result->collection;
  if (collection->folder != NULL) {
    tell_kept(collection);
    tell_running(collection->folder);
  }
  tell_renamed(result);
  tell_kills(result, is_quiet);
  if (is_quiet)
    return;
  g_autoptr(GPtrArray) written = written_by_themselves(result);
  if (collection->profiles->len == 1)
    tell_if_unseen(result);
  if (main_profile(collection) != NULL)
    print_lines(result, written);
  else if (written->len > 0)
    tell_written(written);
  else if (collection->kept == 0)
    tell_nothing(result);
}
