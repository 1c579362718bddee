/* SPDX-License-Identifier: MIT */
#include "core/comments.h"
#include "tools/cmd/moment_options.h"
#include "tools/heap/load.h"
#include "tools/source/recorded_moment.h"
#include "tools/source/source.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"
#include "tools/views/facts.h"
#include "tools/views/facts_json.h"
#include "tools/views/resident_view.h"
#include "tools/views/rows_json.h"

#include <math.h>

static const double NS_PER_S = 1e9;

/* For people: a word on the left, what there is to say on the right. */

static void put_row(const char *word, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void put_row(const char *word, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  printf("%s%-10s%s", colour(stdout, COLOUR_DIM), word, colour(stdout, COLOUR_NONE));
  put_printable(stdout, text);
  putchar('\n');
}

static char *joined_comments(const struct heap *heap, const char *key)
{
  enum { SHOWN_MAX = 8 };
  g_autoptr(GPtrArray) values = facts_comments(heap, key);
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < values->len && i < SHOWN_MAX; i++)
    g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ", (const char *)g_ptr_array_index(values, i));
  if (values->len > SHOWN_MAX)
    g_string_append_printf(text, " and %u more", values->len - SHOWN_MAX);
  return g_string_free(text, FALSE);
}

static void put_comments(const struct heap *heap, const char *word, const char *key)
{
  g_autofree char *text = joined_comments(heap, key);
  if (text[0] != '\0')
    put_row(word, "%s", text);
}

static char *time_text(int64_t unix_ns)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(unix_ns / (int64_t)1000000000);
  return time != NULL ? g_date_time_format(time, "%F %T %Z") : g_strdup("at no time");
}

static void put_times(const struct facts *facts)
{
  const struct heap *heap = facts->heap;
  g_autofree char *taken = time_text(heap->time_unix_ns), *started = time_text(facts->created_unix_ns);
  g_autofree char *reason = joined_comments(heap, COMMENT_reason);
  if (heap->time_unix_ns != 0)
    put_row("taken", "%s%s%s", taken, reason[0] != '\0' ? ", reason: " : "", reason);
  if (facts->running_ns > 0)
    put_row("started", "%s, %s before", started, quantity_duration((double)facts->running_ns / NS_PER_S).text);
  if (heap->duration_ns != 0)
    put_row("covers", "%s", quantity_duration((double)heap->duration_ns / NS_PER_S).text);
}

static void put_sampling(const struct heap *heap)
{
  uint64_t interval_bytes;
  if (heap_comment_number(heap, COMMENT_sampling_interval_bytes, &interval_bytes) && interval_bytes == 1)
    put_row("sampled", "every allocation");
  else if (heap->period > 0)
    put_row("sampled", "once in %s of %s on average (%" G_GINT64_FORMAT ")",
            quantity((double)heap->period, heap->period_type.unit).text, heap->period_type.name, heap->period);
}

static void put_origin(const struct facts *facts)
{
  const struct heap *heap = facts->heap;
  g_autofree char *programs = joined_comments(heap, COMMENT_program), *pids = joined_comments(heap, COMMENT_pid);
  put_row("profile", "%s", heap->name);
  if (programs[0] != '\0' || pids[0] != '\0')
    put_row("program", "%s, pid %s", programs, pids);
  else if (heap->mappings->len > 0 && heap_mapping(heap, 0)->path[0] != '\0')
    put_row("program", "%s", heap_mapping(heap, 0)->path);
  put_comments(heap, "command", COMMENT_command);
  put_times(facts);
  put_comments(heap, "merged", COMMENT_merged);
  put_comments(heap, "peak", COMMENT_peak);
  put_sampling(heap);
  put_comments(heap, "since", COMMENT_since);
  put_comments(heap, "allocator", COMMENT_allocator);
  put_comments(heap, "hooks", COMMENT_hooks);
  put_comments(heap, "unwinder", COMMENT_unwinder);
  put_comments(heap, "inert", COMMENT_inert);
  put_comments(heap, "note", COMMENT_incomplete);
}

static void put_error(const struct fact_total *total)
{
  putchar(' ');
  put_printable(stdout, quantity_error(total->value, total->variance, total->unit).text);
  printf(" (%s)", quantity_percentage(quantity_half_width(total->variance), fabs(total->value)).text);
}

static void put_totals(const struct facts *facts)
{
  const struct heap *heap = facts->heap;
  uint64_t peak_bytes;
  puts("");
  for (uint32_t i = 0; i < heap->types->len; i++) {
    const struct fact_total *total = &facts->totals[i];
    g_autofree char *name = printable(total->type);
    printf("%-14s %10s", name, quantity(total->value, total->unit).text);
    if (total->is_certainty_known && total->variance > 0)
      put_error(total);
    else if (total->is_certainty_known && total->value != 0)
      fputs(" exact", stdout);
    putchar('\n');
  }
  bool has_peak = heap_find_type(heap, HEAP_PEAK_SPACE) >= 0;
  if (!has_peak && heap_comment_number(heap, COMMENT_peak_inuse_space, &peak_bytes))
    printf("%-14s %10s\n", "peak in use", quantity((double)peak_bytes, "bytes").text);
}

/* How far the estimate is from what was counted; both have a byte more for each allocation, as the sampler counts. */
static char *distance_text(const struct facts *facts)
{
  double exact = (double)facts->exact_units, off = (double)facts->estimated_units - exact;
  g_autofree char *errors =
      facts->units_error > 0 ? g_strdup_printf(", %.2f standard errors", fabs(off) / facts->units_error) : g_strdup("");
  return g_strdup_printf("%s too %s%s", quantity_percentage(fabs(off), exact).text, off > 0 ? "much" : "little",
                         errors);
}

static void put_check(const struct facts *facts)
{
  if (!facts->has_exact_units)
    return;
  struct quantity_text exact = quantity((double)facts->exact_units, "bytes"),
                       estimated = quantity((double)facts->estimated_units, "bytes");
  if (facts->has_exact_parts) {
    put_row("check", "exactly %" G_GUINT64_FORMAT " bytes in %" G_GUINT64_FORMAT " allocations, as in the profile",
            facts->exact_bytes, facts->exact_objects);
    return;
  }
  if (facts->exact_units == facts->estimated_units) {
    put_row("check", "bytes plus allocations are exactly %s, as in the profile", exact.text);
    return;
  }
  g_autofree char *distance = distance_text(facts);
  put_row("check", "bytes plus allocations were exactly %s, by the samples %s: %s", exact.text, estimated.text,
          distance);
}

static void put_cut(const struct facts *facts)
{
  int type = heap_find_type(facts->heap, NULL);
  g_autofree char *share = type >= 0 ? cut_share_text(&facts->totals[type].cut, facts->totals[type].type) : NULL;
  if (share != NULL)
    put_row("cut", "%s", share);
}

/* Without those that rows of their own tell more of: "truncated" where "truncated.depth" does. */
static uint64_t not_told_apart(const struct facts *facts, const struct fact_loss *loss)
{
  g_autofree char *start = g_strconcat(loss->key, ".", NULL);
  uint64_t count = loss->count;
  for (guint i = 0; i < facts->losses->len; i++) {
    const struct fact_loss *other = &g_array_index(facts->losses, struct fact_loss, i);
    if (g_str_has_prefix(other->key, start))
      count -= MIN(count, other->count);
  }
  return count;
}

static void put_losses(const struct facts *facts)
{
  bool is_complete = true;
  for (guint i = 0; i < facts->losses->len; i++) {
    const struct fact_loss *loss = &g_array_index(facts->losses, struct fact_loss, i);
    uint64_t count = not_told_apart(facts, loss);
    if (count > 0)
      put_row("lost", "%" G_GUINT64_FORMAT " %s%s%s", count, loss->key, loss->what[0] != '\0' ? ": " : "", loss->what);
    is_complete &= loss->count == 0;
  }
  if (facts->losses->len > 0 && is_complete)
    put_row("lost", "nothing");
}

/* What allocates past the profiler. Merged profiles may have told of the same object. */
static void put_uncovered(const struct heap *heap)
{
  uint64_t objects;
  if (!heap_comment_number(heap, COMMENT_uncovered_objects, &objects) || objects == 0)
    return;
  g_autofree char *names = joined_comments(heap, COMMENT_uncovered);
  put_row("uncovered", "%" G_GUINT64_FORMAT " %s past the profiler%s%s", objects,
          objects == 1 ? "object allocates" : "objects allocate", names[0] != '\0' ? ": " : "", names);
}

/* Twice what malloc gave, and more: then the answer may lie elsewhere. */
static void put_resident(const struct facts *facts)
{
  enum { LEAST_BYTES = 32 << 20 };
  double now = (double)facts->resident_bytes, in_use = 0;
  if (facts->resident_most_bytes == 0)
    return;
  int type = heap_find_type(facts->heap, "inuse_space");
  if (type >= 0)
    in_use = facts->totals[type].value;
  bool is_little = type >= 0 && now >= LEAST_BYTES && now > 2 * in_use;
  put_row("resident", "%s, %s at most%s%s%s%s", quantity(now, "bytes").text,
          quantity((double)facts->resident_most_bytes, "bytes").text, is_little ? ": malloc explains " : "",
          is_little ? quantity_percentage(in_use, now).text : "",
          is_little ? "; the rest is files, stacks, what is mapped directly, the allocator's own" : "",
          is_little && heap_comment(facts->heap, COMMENT_since) != NULL ? ", what was asked for before attach" : "");
}

static void put_cost(const struct facts *facts)
{
  if (facts->own_bytes == 0 && facts->sampling_ns == 0)
    return;
  GString *text = g_string_new(NULL);
  g_string_append_printf(text, "%s of memory", quantity((double)facts->own_bytes, "bytes").text);
  if (facts->own_unused_bytes > 0 && facts->own_unused_bytes < facts->own_bytes)
    g_string_append_printf(text, " (%s of it in use)",
                           quantity((double)(facts->own_bytes - facts->own_unused_bytes), "bytes").text);
  if (facts->sampling_ns > 0)
    g_string_append_printf(text, ", %s in samples", quantity((double)facts->sampling_ns, "nanoseconds").text);
  if (facts->sampling_ns > 0 && facts->samples > 0)
    g_string_append_printf(text, ", %s each",
                           quantity((double)facts->sampling_ns / (double)facts->samples, "nanoseconds").text);
  if (facts->sampling_ns > 0 && facts->cpu_ns > 0)
    g_string_append_printf(text, ", %s of the processor time",
                           quantity_percentage((double)facts->sampling_ns, (double)facts->cpu_ns).text);
  else if (facts->sampling_ns > 0 && facts->running_ns > 0)
    g_string_append_printf(text, ", %s of the time it ran",
                           quantity_percentage((double)facts->sampling_ns, (double)facts->running_ns).text);
  put_row("profiler", "%s", text->str);
  g_string_free(text, TRUE);
}

static void put_counts(const struct facts *facts)
{
  const struct heap *heap = facts->heap;
  puts("");
  if (facts->samples > 0)
    put_row("samples", "%" G_GUINT64_FORMAT, facts->samples);
  put_row("stacks", "%u, the deepest of %u frames", heap->samples->len, facts->deepest);
  put_row("code", "%u places, %u functions", heap->locations->len, heap->functions->len);
  put_check(facts);
  put_cut(facts);
  put_losses(facts);
  put_uncovered(heap);
  put_resident(facts);
  put_cost(facts);
}

/* `says_lines`: they were looked for. */
static void put_mapping(const struct fact_mapping *counts, bool says_lines)
{
  const struct heap_mapping *mapping = counts->mapping;
  g_autofree char *path = printable(mapping->path[0] != '\0' ? mapping->path : "no file"),
                  *build_id = printable(mapping->build_id[0] != '\0' ? mapping->build_id : "-");
  printf("%8u %6u", counts->locations, counts->named);
  if (says_lines)
    printf(" %6u %6u", counts->with_lines, counts->with_inlines);
  printf("  %-40s  %s\n", build_id, path);
}

static void put_mappings(const struct facts *facts, bool says_lines)
{
  if (facts->mappings->len == 0)
    return;
  printf("\n%8s %6s", "places", "named");
  if (says_lines)
    printf(" %6s %6s", "lines", "inline");
  printf("  %-40s  %s\n", "build id", "file");
  for (guint i = 0; i < facts->mappings->len; i++)
    put_mapping(&g_array_index(facts->mappings, struct fact_mapping, i), says_lines);
}

/* The command. */

static void print_text(const struct facts *facts, bool says_lines)
{
  put_origin(facts);
  put_totals(facts);
  put_counts(facts);
  put_mappings(facts, says_lines);
}

/* A file is described as it is; a process has no names but those that are looked up now, and no lines. */
static struct heap *open_source(const char *argument, bool *has_lines, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct target *target = source_find_process(argument, &problem);
  bool is_process = target != NULL || problem != NULL;
  target_free(target);
  bool has_no_names = is_process || source_is_state_file(argument);
  *has_lines = !has_no_names;
  return has_no_names || recorded_moment_is(argument) ? source_open(argument, SYMBOLS_NAMES, error)
                                                      : load_file(argument, error);
}

/* Where its memory is now, if that is a process which runs and may be looked into: printed, or put into `json`. */
static void tell_resident(const char *argument, json_t *json)
{
  struct target *target = source_find_process(argument, NULL);
  struct resident_memory *memory = target != NULL && target->is_alive ? resident_memory_of(target, NULL) : NULL;
  if (memory != NULL && json != NULL) {
    json_object_set_new(json, "resident", resident_view_json(target, memory, NULL, NULL, 0, false));
  } else if (memory != NULL) {
    g_autoptr(GString) text = g_string_new("\n");
    resident_view_append(text, target, memory, terminal_width(stdout));
    (void)fputs(text->str, stdout);
  }
  resident_memory_free(memory);
  target_free(target);
}

static void print_json(const struct facts *facts, const char *argument)
{
  json_t *json = facts_json(facts);
  tell_resident(argument, json);
  rows_json_print(json);
}

static int run(const struct cmd_line *line)
{
  if (line->count != 1)
    return cmd_takes(line, 1, "one process or profile");
  if (!moment_options_check(line, "at"))
    return EXIT_USAGE;
  g_autoptr(GError) error = NULL;
  g_autofree char *name = moment_options(line, line->operands[0]);
  bool has_lines = false;
  struct heap *heap = name != NULL ? open_source(name, &has_lines, &error) : NULL;
  if (name == NULL)
    return EXIT_FAILED;
  if (heap == NULL) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  struct facts *facts = facts_of(heap);
  if (cmd_has(line, "json")) {
    print_json(facts, name);
  } else {
    print_text(facts, has_lines);
    tell_resident(name, NULL);
  }
  facts_free(facts);
  heap_free(heap);
  return finish_output(EXIT_OK);
}

static const struct cmd_option options[] = {CMD_OPTION_JSON, MOMENT_OPTIONS, CMD_OPTIONS_END};

const struct command cmd_info = {.name = "info",
                                 .operands = "FILE|PID|NAME",
                                 .summary =
                                     "Tell what a profile is of, how certain it is, what it lost and what it cost",
                                 .options = options,
                                 .run = run};
