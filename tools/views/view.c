/* SPDX-License-Identifier: MIT */
#include "tools/views/view.h"

#include "core/comments.h"
#include "core/region_format.h"

#include "tools/source/source.h"
#include "tools/terminal/exit_status.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/views/facts.h"

#include <math.h>
#include <string.h>
#include <time.h>

static double total_of(const struct heap *heap, int type)
{
  double total = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    total += (double)heap_values(heap, i)[type];
  return total;
}

bool view_is_next_to_nothing(double in_use_bytes, double peak_bytes)
{
  return peak_bytes > 0 && in_use_bytes <= peak_bytes / 100;
}

static bool is_freed(const struct heap *heap)
{
  int in_use = heap_find_type(heap, "inuse_space"), peak = heap_find_type(heap, HEAP_PEAK_SPACE);
  return in_use >= 0 && peak >= 0 && view_is_next_to_nothing(total_of(heap, in_use), total_of(heap, peak));
}

void view_prefer_peak_if_freed(struct heap *heap)
{
  if (strcmp(heap->default_type, "inuse_space") == 0 && is_freed(heap))
    heap->default_type = heap_text(heap, HEAP_PEAK_SPACE);
}

void view_prefer_in_use(struct heap *heap)
{
  if (strcmp(heap->default_type, HEAP_PEAK_SPACE) == 0)
    heap->default_type = heap_text(heap, "inuse_space");
}

void view_prefer_the_same(struct heap *heap, struct heap *base)
{
  if (strcmp(heap->default_type, base->default_type) == 0)
    return;
  view_prefer_in_use(heap);
  view_prefer_in_use(base);
}

/* What was read of a process is called after it, not after its state file, unless that was asked for. */
static void name_process(struct heap *heap, const char *argument)
{
  const char *program = heap_comment(heap, COMMENT_program), *of_file = heap_comment(heap, COMMENT_pid);
  int pid;
  if (program == NULL || of_file == NULL || strcmp(heap->name, argument) == 0 || !source_is_state_file(heap->name))
    return;
  g_autofree char *number = source_is_pid(argument, &pid) ? g_strdup_printf("%d", pid) : g_strdup(of_file);
  g_autofree char *name = g_strdup_printf("%s (%s)", program, number);
  heap->name = heap_text(heap, name);
}

/* NULL after a message, as `error` says it. */
static struct heap *prepare(struct heap *heap, const char *argument, const struct filter *filter, const GError *error)
{
  g_autoptr(GString) unmatched = g_string_new(NULL);
  if (heap == NULL) {
    say("%s", error->message);
    return NULL;
  }
  name_process(heap, argument);
  view_prefer_peak_if_freed(heap);
  filter_apply(filter, heap, unmatched);
  if (unmatched->len > 0)
    say("%s: nothing matches %s", heap->name, unmatched->str);
  return heap;
}

struct heap *view_open(const char *argument, const struct filter *filter)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = source_open(argument, SYMBOLS_LINES, &error);
  return prepare(heap, argument, filter, error);
}

struct heap *view_open_mapped(const char *argument, const struct filter *filter)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = source_open_mapped(argument, SYMBOLS_LINES, &error);
  return prepare(heap, argument, filter, error);
}

int view_tell_nothing(const struct heap *heap, int type)
{
  say("%s: there is nothing to show of %s", heap->name, heap_type(heap, (uint32_t)type)->name);
  return EXIT_FAILED;
}

bool view_find_type(const struct heap *heap, const char *name, int *type)
{
  *type = heap_find_type(heap, name);
  if (*type >= 0)
    return true;
  if (heap->types->len == 0) {
    say("%s: it has no sample types, so there is nothing to show", heap->name);
    return false;
  }
  g_autoptr(GString) names = g_string_new(NULL);
  for (uint32_t i = 0; i < heap->types->len; i++)
    g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", heap_type(heap, i)->name);
  say("%s: there is no sample type '%s' in it; it has %s", heap->name, name, names->str);
  return false;
}

static void append_line(GString *text, const char *what, const char *value)
{
  g_autofree char *shown = shown_text(value);
  g_string_append_printf(text, "%s: %s\n", what, shown);
}

/* When what is in use was. */
static const char *moment_of(const struct heap *heap)
{
  const char *reason = heap_comment(heap, COMMENT_reason);
  if (reason == NULL || heap_comment(heap, COMMENT_merged) != NULL)
    return "";
  bool has_ended = strcmp(reason, "exit") == 0 || strcmp(reason, "heapprof run") == 0;
  return has_ended ? " at exit" : strcmp(reason, "recover") == 0 ? " at the end" : "";
}

char *view_peak_note(const struct heap *heap, int type)
{
  GString *note = g_string_new(NULL);
  if (!heap_is_of_peak(heap_type(heap, (uint32_t)type)))
    return g_string_free(note, FALSE);
  if (is_freed(heap))
    g_string_append_printf(note, "In use is %s%s: shown is what held the peak of %s\n",
                           quantity(total_of(heap, heap_find_type(heap, "inuse_space")), "bytes").text, moment_of(heap),
                           quantity(total_of(heap, heap_find_type(heap, HEAP_PEAK_SPACE)), "bytes").text);
  const char *of = heap_comment(heap, COMMENT_peak);
  if (of != NULL)
    append_line(note, "Peak", of);
  return g_string_free(note, FALSE);
}

/* Of a profile of mappings. */
static void append_memory(GString *text, const struct heap *heap)
{
  const char *memory = heap_comment(heap, COMMENT_memory);
  uint64_t reserved_bytes;
  if (memory != NULL)
    append_line(text, "Memory", memory);
  if (memory != NULL && heap_comment_number(heap, COMMENT_reserved_bytes, &reserved_bytes) && reserved_bytes > 0)
    g_string_append_printf(text, "Reserved without access, and not counted: %s\n",
                           quantity((double)reserved_bytes, "bytes").text);
}

/* The name that it was called by, as heapprof ls has it: its file may be a link's target, as redis-check-rdb of
 * redis-server. Of several programs, and of profiles of others: the first file that was mapped. */
static char *file_of(const struct heap *heap)
{
  g_autoptr(GPtrArray) programs = facts_comments(heap, COMMENT_program);
  if (programs->len == 1)
    return g_strdup(g_ptr_array_index(programs, 0));
  const char *path = heap->mappings->len > 0 ? heap_mapping(heap, 0)->path : "";
  return path[0] != '\0' ? g_path_get_basename(path) : NULL;
}

void view_append_header(GString *text, const struct heap *heap, int type)
{
  g_autofree char *file = file_of(heap);
  if (file != NULL)
    append_line(text, "File", file);
  append_line(text, "Type", heap_type(heap, (uint32_t)type)->name);
  append_memory(text, heap);
  const char *since = heap_comment(heap, COMMENT_since);
  if (since != NULL)
    append_line(text, "Since", since);
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(heap->time_unix_ns / 1000000000);
  g_autoptr(GDateTime) local = utc != NULL && heap->time_unix_ns > 0 ? g_date_time_to_local(utc) : NULL;
  if (local != NULL) {
    g_autofree char *time = g_date_time_format(local, "%Y-%m-%d %H:%M:%S %Z");
    append_line(text, "Time", time);
  }
  g_autofree char *note = view_peak_note(heap, type);
  g_string_append(text, note);
}

bool view_has_errors(bool has_variances, double total_variance)
{
  return has_variances && total_variance > 0;
}

/* Who attached again has not seen what was freed since the process was detached from. */
static bool misses_frees(const struct heap *heap, const char *type_name)
{
  if (g_str_has_prefix(type_name, "alloc_"))
    return false;
  for (uint32_t i = 0; i < heap->comments->len; i++)
    if (g_str_has_suffix(g_ptr_array_index(heap->comments, i), REGION_SINCE_ATTACHES))
      return true;
  return false;
}

void view_append_certainty(GString *text, const struct heap *heap, int type, double total, double variance)
{
  const char *name = heap_type(heap, (uint32_t)type)->name, *unit = heap_type(heap, (uint32_t)type)->unit;
  if (heap->variances == NULL) {
    g_string_append(text, "The profile does not tell how far off its values can be\n");
  } else if (variance > 0) {
    g_autofree char *error = shown_text(quantity_error(total, variance, unit).text);
    g_string_append_printf(text, "The total is an estimate: %s %s (95%%)\n", quantity(total, unit).text, error);
  } else if (total != 0 && misses_frees(heap, name)) {
    g_string_append(text, "Values are exact, but that what was freed while it was detached counts as in use\n");
  } else if (total != 0) {
    g_string_append(text, "Values are exact\n");
  }
}

void view_append_cut(GString *text, const char *what, const struct cut_share *cut, const char *type_name)
{
  g_autofree char *share = cut_share_text(cut, type_name);
  if (share != NULL)
    append_line(text, what, share);
}

char *view_place_name(const char *name, const char *file, int64_t line)
{
  if (file[0] == '\0')
    return g_strdup(name);
  return line > 0 ? g_strdup_printf("%s %s:%" G_GINT64_FORMAT, name, file, line) : g_strdup_printf("%s %s", name, file);
}

char *view_row_name(const struct row *row)
{
  g_autofree char *name = view_place_name(row->name, row->file, row->line);
  return g_strconcat(name, !row->is_inlined ? "" : row->is_called ? " (partial-inline)" : " (inline)", NULL);
}

void view_put_quantity(struct table *table, double value, const char *unit)
{
  table_put(table, quantity(value, unit).text);
}

void view_put_error(struct table *table, bool is_wanted, double value, double variance, const char *unit)
{
  table_put(table, is_wanted ? quantity_error(value, variance, unit).text : "");
}

void view_put_percentage(struct table *table, double part, double whole)
{
  table_put(table, quantity_percentage(fabs(part), fabs(whole)).text);
}
