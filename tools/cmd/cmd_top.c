/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/row_options.h"
#include "tools/cmd/value_options.h"
#include "tools/filter/expression.h"
#include "tools/source/source.h"
#include "tools/views/listing.h"
#include "tools/views/rows_json.h"
#include "tools/views/top.h"
#include "tools/views/traces.h"
#include "tools/views/view.h"
#include "tools/views/watch.h"

static const struct cmd_option options[] = {
    ROW_OPTION_ROWS,
    {"cum", 'c', NULL, "sort by what a function and those it called allocated"},
    VALUE_OPTIONS,
    {"diff-base", 0, "FILE", "show the difference with FILE"},
    ROW_OPTION_LINES,
    CMD_OPTION_JSON,
    FILTER_OPTIONS,
    MAPPED_OPTION,
    {"list", 0, "REGEX", "show the source of functions that match, with what each line allocated"},
    {"traces", 0, NULL, "show every stack, the largest first"},
    MOMENT_OPTIONS,
    CMD_OPTIONS_END,
};

static enum rows_order order_of(const struct cmd_line *line)
{
  return cmd_has(line, "cum") ? ROWS_ORDER_CUM : ROWS_ORDER_FLAT;
}

static void print_json(const struct cmd_line *line, const struct top *top)
{
  uint32_t count = cmd_has(line, "rows") ? top->count : UINT32_MAX;
  rows_json_print(top->base != NULL ? rows_json_of_difference(top->rows, count) : rows_json(top->rows, count));
}

static void append_table(GString *text, const struct top *top)
{
  top_append_header(text, top);
  top_append_table(text, top, terminal_width(stdout), stdout);
  top_append_hint(text, top);
}

/* False after a message. */
static bool append_listing(GString *text, const char *wanted, const struct top *top)
{
  g_autoptr(GRegex) expression = expression_compile(wanted);
  if (expression == NULL)
    return false;
  bool has_any = listing_append(text, top->rows, expression, top_whole(top));
  if (!has_any)
    say("%s: no function in it matches '%s'; heapprof top lists them", top->heap->name, wanted);
  return has_any;
}

static void append_traces(GString *text, const struct top *top, enum rows_by by, uint32_t count)
{
  view_append_header(text, top->heap, top->type);
  uint32_t all = traces_append(text, top->heap, top->type, (enum places_by)by, count);
  if (count < all)
    g_string_append_printf(text, "%u more stacks: -n 0 shows all\n", all - count);
}

/* False after a message. */
static bool print(const struct cmd_line *line, const struct top *top)
{
  g_autoptr(GString) text = g_string_new(NULL);
  if (cmd_has(line, "json"))
    print_json(line, top);
  else if (cmd_has(line, "traces"))
    append_traces(text, top, row_options_by(line), cmd_has(line, "rows") ? top->count : UINT32_MAX);
  else if (!cmd_has(line, "list"))
    append_table(text, top);
  else if (!append_listing(text, cmd_value(line, "list"), top))
    return false;
  (void)fputs(text->str, stdout);
  return true;
}

/* `base` is NULL, or what to compare with. */
static int print_table(const struct cmd_line *line, const struct heap *heap, const struct heap *base, uint32_t count)
{
  const char *wanted = value_options_type(line);
  int type, base_type = 0;
  if (!view_find_type(heap, wanted, &type))
    return EXIT_FAILED;
  if (base != NULL && !view_find_type(base, heap_type(heap, (uint32_t)type)->name, &base_type))
    return EXIT_FAILED;
  enum rows_by by = cmd_has(line, "list") ? ROWS_BY_LINE : row_options_by(line);
  struct rows *rows = base != NULL ? rows_of_difference(base, base_type, heap, type, by, order_of(line))
                                   : rows_of(heap, type, by, order_of(line));
  /* That two do not differ is an answer, and so is an empty list to a program. */
  bool is_answer = rows->rows->len > 0 || base != NULL || cmd_has(line, "json");
  struct top top = {.rows = rows, .heap = heap, .base = base, .type = type, .order = order_of(line), .count = count};
  int status = !is_answer ? view_tell_nothing(heap, type) : print(line, &top) ? finish_output(EXIT_OK) : EXIT_FAILED;
  rows_free(rows);
  return status;
}

static int print_source(const struct cmd_line *line, uint32_t count, const struct filter *filter)
{
  int status = EXIT_FAILED;
  struct heap *(*open)(const char *, const struct filter *) = cmd_has(line, "mmap") ? view_open_mapped : view_open;
  g_autofree char *name = moment_options(line, line->operands[0]);
  struct heap *heap = name != NULL ? open(name, filter) : NULL, *base = NULL;
  const char *base_name = cmd_value(line, "diff-base");
  if (heap != NULL && base_name != NULL)
    base = open(base_name, filter);
  if (base != NULL)
    view_prefer_the_same(heap, base);
  if (heap != NULL && (base_name == NULL || base != NULL))
    status = print_table(line, heap, base, count);
  heap_free(base);
  heap_free(heap);
  return status;
}

/* A process that is not there is for source_open to explain. */
static bool find_pid(const char *operand, int *pid)
{
  struct target *target = source_is_pid(operand, pid) ? NULL : source_find_process(operand, NULL);
  bool is_alive = target != NULL && target->is_alive;
  if (is_alive)
    *pid = target->pid;
  target_free(target);
  return is_alive || source_is_pid(operand, pid);
}

static bool may_watch(const struct cmd_line *line, int *pid)
{
  return !cmd_has(line, "at") && !cmd_has(line, "process") && !cmd_has(line, "json") && !cmd_has(line, "mmap") &&
         !cmd_has(line, "diff-base") && !cmd_has(line, "list") && !cmd_has(line, "traces") && watch_is_possible() &&
         find_pid(line->operands[0], pid);
}

static int run(const struct cmd_line *line)
{
  uint32_t count;
  struct filter *filter;
  if (line->count != 1)
    return cmd_takes(line, 1, "one process or profile");
  if (!value_options_agree(line) || !moment_options_check(line, "at") || !row_options_limit(line, &count))
    return EXIT_USAGE;
  if (cmd_has(line, "list") + cmd_has(line, "traces") + cmd_has(line, "json") > 1)
    return cmd_misused(line, "--list, --traces and --json are three ways to show it: choose one");
  if (cmd_has(line, "traces") && cmd_has(line, "diff-base"))
    return cmd_misused(line, "--traces shows one profile, without --diff-base");
  if (!filter_options(line, &filter))
    return EXIT_USAGE;
  struct watch_options watched = {.type = value_options_type(line),
                                  .by = row_options_by(line),
                                  .order = order_of(line),
                                  .rows_max = cmd_has(line, "rows") ? count : UINT32_MAX,
                                  .filter = filter};
  int status = may_watch(line, &watched.pid) ? watch_run(&watched) : print_source(line, count, filter);
  filter_free(filter);
  return status;
}

const struct command cmd_top = {
    .name = "top",
    .operands = "PID|NAME|FILE",
    .summary = "Show what allocates most, as pprof -top does; of a process, live",
    .options = options,
    .run = run,
};
