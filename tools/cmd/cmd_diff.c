/* SPDX-License-Identifier: MIT */
#include "core/comments.h"
#include "tools/cmd/filter_options.h"
#include "tools/cmd/limit_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/row_options.h"
#include "tools/cmd/value_options.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/views/facts.h"
#include "tools/views/growth.h"
#include "tools/views/rows_json.h"
#include "tools/views/view.h"

#include <string.h>

static const struct cmd_option options[] = {
    ROW_OPTION_ROWS,
    {"cum", 'c', NULL, "judge by what a function and those it called allocated"},
    VALUE_OPTIONS,
    ROW_OPTION_LINES,
    {"all", 'a', NULL, "also what changed no more than sampling explains"},
    {"fail-if", 0, "LIMIT", "end with 3 if growth>PERCENT% or growth>SIZE; may be repeated"},
    LIMIT_OPTION_JUNIT,
    {"from", 0, "TIME", "with --to: two moments of the recording FILE, as 10:00"},
    {"to", 0, "TIME", "the later one; the last moment if not given"},
    MOMENT_OPTION_PROCESS,
    CMD_OPTION_JSON,
    FILTER_OPTIONS,
    CMD_OPTIONS_END,
};

/* Which of a row's two changes is looked at. */
struct change {
  double value, variance, old;
  bool is_noise;
};

static struct change change_of(const struct row *row, enum rows_order order)
{
  if (order == ROWS_ORDER_CUM)
    return (struct change){row->cum, row->cum_variance, row->old_cum, row->is_cum_noise};
  return (struct change){row->flat, row->flat_variance, row->old_flat, row->is_flat_noise};
}

/* Leaves out what did not change, and noise unless it is wanted. Returns how much noise there was. */
static uint32_t sift(struct rows *rows, enum rows_order order, bool keeps_noise)
{
  uint32_t kept = 0, noise = 0;
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    struct change change = change_of(row, order);
    noise += change.is_noise;
    if (change.value != 0 && (keeps_noise || !change.is_noise))
      g_array_index(rows->rows, struct row, kept++) = *row;
  }
  g_array_set_size(rows->rows, kept);
  return noise;
}

static void print_header(const struct rows *rows, const struct heap *old, const struct heap *new, int type)
{
  g_autoptr(GString) text = g_string_new(NULL);
  double change = rows->total - rows->old_total;
  view_append_header(text, new, type);
  g_autofree char *old_name = shown_text(old->name), *new_name = shown_text(new->name);
  g_string_append_printf(text, "Old: %s, %s\n", old_name, quantity(rows->old_total, rows->unit).text);
  g_string_append_printf(text, "New: %s, %s\n", new_name, quantity(rows->total, rows->unit).text);
  g_autofree char *error = shown_text(quantity_error(change, rows->change_variance, rows->unit).text);
  bool has_error = rows->has_variances && change != 0;
  g_string_append_printf(text, "Change: %s%s%s\n", quantity_signed(change, rows->unit).text, has_error ? " " : "",
                         has_error ? error : "");
  view_append_cut(text, "Cut stacks, old", &rows->old_cut, rows->type_name);
  view_append_cut(text, "Cut stacks, new", &rows->cut, rows->type_name);
  if (!rows->has_variances)
    g_string_append(text, "The profiles do not tell which changes are noise\n");
  (void)fputs(text->str, stdout);
}

static void put_row(struct table *table, const struct rows *rows, const struct row *row, enum rows_order order)
{
  struct change change = change_of(row, order);
  bool has_errors = view_has_errors(rows->has_variances, rows->change_variance);
  g_autofree char *name = view_row_name(row);
  table_begin_row(table, change.is_noise ? COLOUR_DIM : change.value > 0 ? COLOUR_RED : COLOUR_GREEN);
  table_put(table, quantity_signed(change.value, rows->unit).text);
  view_put_error(table, has_errors, change.value, change.variance, rows->unit);
  view_put_quantity(table, change.old, rows->unit);
  view_put_quantity(table, change.old + change.value, rows->unit);
  table_put(table, change.is_noise ? "~" : "");
  table_put(table, name);
}

static void print_table(const struct rows *rows, enum rows_order order, uint32_t count)
{
  struct table *table = table_new();
  bool has_errors = view_has_errors(rows->has_variances, rows->change_variance);
  table_add_column(table, "change", TABLE_RIGHT);
  table_add_column_of_rank(table, has_errors ? "±95%" : "", TABLE_RIGHT, 1);
  table_add_column_of_rank(table, "old", TABLE_RIGHT, 2);
  table_add_column_of_rank(table, "new", TABLE_RIGHT, 3);
  table_add_column(table, "", TABLE_LEFT); /* ~ */
  table_add_column(table, "", TABLE_LEFT); /* name */
  for (uint32_t i = 0; i < rows->rows->len && i < count; i++)
    put_row(table, rows, &g_array_index(rows->rows, struct row, i), order);
  if (rows->rows->len > 0)
    table_print(table, stdout);
  else
    (void)puts("Nothing to show");
  table_free(table);
}

static const char *plural(uint32_t count)
{
  return count == 1 ? "" : "s";
}

static void print_left_out(const struct rows *rows, uint32_t count, uint32_t noise, bool shows_noise)
{
  if (rows->rows->len > count)
    printf("%u more row%s: -n 0 shows all\n", rows->rows->len - count, plural(rows->rows->len - count));
  if (noise > 0 && shows_noise)
    printf("~: no more than sampling explains (95%%): %u row%s\n", noise, plural(noise));
  else if (noise > 0)
    printf("Left out: %u row%s that changed no more than sampling explains (95%%); --all shows %s\n", noise,
           plural(noise), noise == 1 ? "it" : "them");
}

static int print_difference(const struct cmd_line *line, const struct heap *old, const struct heap *new, uint32_t count)
{
  int type, old_type;
  enum rows_order order = cmd_has(line, "cum") ? ROWS_ORDER_CUM : ROWS_ORDER_FLAT;
  if (!view_find_type(new, value_options_type(line), &type) ||
      !view_find_type(old, heap_type(new, (uint32_t)type)->name, &old_type))
    return EXIT_FAILED;
  struct rows *rows = rows_of_difference(old, old_type, new, type, row_options_by(line), order);
  uint32_t noise = sift(rows, order, cmd_has(line, "all"));
  if (cmd_has(line, "json")) {
    json_t *json = rows_json_of_difference(rows, cmd_has(line, "rows") ? count : UINT32_MAX);
    (void)json_object_set_new(json, "noise_count", json_integer(noise));
    rows_json_print(json);
  } else {
    print_header(rows, old, new, type);
    print_table(rows, order, count);
    print_left_out(rows, count, noise, cmd_has(line, "all"));
  }
  rows_free(rows);
  return finish_output(EXIT_OK);
}

/* What filters left out does not count. */
static GArray *judge_growth(const struct cmd_line *line, const GArray *limits, const struct filter *filter,
                            struct heap *old, struct heap *new)
{
  int type, old_type;
  filter_drop_empty(filter, old);
  filter_drop_empty(filter, new);
  if (!view_find_type(new, value_options_type(line), &type) ||
      !view_find_type(old, heap_type(new, (uint32_t)type)->name, &old_type))
    return NULL;
  return growth_judge(limits, old, old_type, new, type);
}

static int check_growth(const struct cmd_line *line, const GArray *limits, const struct filter *filter,
                        struct heap *old, struct heap *new)
{
  g_autoptr(GArray) outcomes = judge_growth(line, limits, filter, old, new);
  if (outcomes == NULL)
    return EXIT_FAILED;
  g_autofree char *subject = g_strdup_printf("%s after %s", new->name, old->name);
  return limit_options_end(line, outcomes, subject, EXIT_OK);
}

/* Of one process, time tells which is the old one. Two runs may be compared in any order, whichever came first. */
static void put_in_order(struct heap **old, struct heap **new)
{
  bool is_backwards = (*old)->time_unix_ns > (*new)->time_unix_ns && (*new)->time_unix_ns > 0;
  if (!is_backwards || strcmp((*old)->name, (*new)->name) == 0)
    return;
  if (!facts_same_process(*new, *old)) {
    say("%s was taken after %s; their order stays as it was given", (*old)->name, (*new)->name);
    return;
  }
  say("%s was taken after %s, of the same process: it is the new one", (*old)->name, (*new)->name);
  struct heap *later = *old;
  *old = *new;
  *new = later;
}

/* Names that a recording gives may be of two. */
static void tell_two_programs(const struct heap *old, const struct heap *new)
{
  const char *of_old = heap_comment(old, COMMENT_program), *of_new = heap_comment(new, COMMENT_program);
  if (of_old != NULL && of_new != NULL && strcmp(of_old, of_new) != 0)
    say("%s is of %s, %s of %s: two programs are compared", old->name, of_old, new->name, of_new);
}

/* A limit is for what is in use, however little that may be, unless the options say so. */
static void choose_default(struct heap *old, struct heap *new, bool has_limits)
{
  view_prefer_the_same(new, old);
  if (has_limits) {
    view_prefer_in_use(old);
    view_prefer_in_use(new);
  }
}

/* Of one recording two moments, else two operands. NULL after a message. */
static char *name_of(const struct cmd_line *line, int index)
{
  if (!cmd_has(line, "from"))
    return moment_options_at(line, line->operands[index], NULL);
  return moment_options_at(line, line->operands[0], cmd_value(line, index == 0 ? "from" : "to"));
}

static int compare(const struct cmd_line *line, uint32_t count, const GArray *limits)
{
  struct filter *filter;
  int status = EXIT_FAILED;
  if (!filter_options(line, &filter))
    return EXIT_USAGE;
  g_autofree char *old_name = name_of(line, 0), *new_name = old_name != NULL ? name_of(line, 1) : NULL;
  struct heap *old = new_name != NULL ? view_open(old_name, filter) : NULL;
  struct heap *new = old != NULL ? view_open(new_name, filter) : NULL;
  if (new != NULL) {
    put_in_order(&old, &new);
    tell_two_programs(old, new);
    choose_default(old, new, limits->len > 0);
    status = print_difference(line, old, new, count);
  }
  if (status == EXIT_OK)
    status = check_growth(line, limits, filter, old, new);
  heap_free(new);
  heap_free(old);
  filter_free(filter);
  return status;
}

static int run(const struct cmd_line *line)
{
  uint32_t count;
  if (cmd_has(line, "to") && !cmd_has(line, "from"))
    return cmd_misused(line, "--to is the later of two moments; --from is missing");
  if (cmd_has(line, "from") && line->count != 1)
    return cmd_takes(line, 1, "one recording with --from");
  if (!cmd_has(line, "from") && line->count != 2)
    return cmd_takes(line, 2, "two profiles, the old one first, or a recording with --from");
  if (!value_options_agree(line) || !moment_options_check(line, "from") || !moment_options_check(line, "to") ||
      !row_options_limit(line, &count))
    return EXIT_USAGE;
  g_autofree const char **texts = cmd_values(line, "fail-if");
  g_autoptr(GArray) limits = growth_limits_read(texts);
  if (limits == NULL)
    return EXIT_USAGE;
  int status = limit_options_check(line, limits);
  return status == EXIT_OK ? compare(line, count, limits) : status;
}

const struct command cmd_diff = {
    .name = "diff",
    .operands = "OLD NEW",
    .summary = "Show what grew and what shrank between two profiles",
    .options = options,
    .run = run,
};
