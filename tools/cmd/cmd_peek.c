/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/row_options.h"
#include "tools/cmd/value_options.h"
#include "tools/filter/expression.h"
#include "tools/source/source.h"
#include "tools/views/neighbours.h"
#include "tools/views/view.h"

static const struct cmd_option options[] = {
    VALUE_OPTIONS, ROW_OPTION_LINES, MOMENT_OPTIONS, FILTER_OPTIONS, CMD_OPTIONS_END,
};

struct peek {
  const struct rows *rows;
  const struct neighbours *neighbours;
  struct table *table;
  bool has_errors;
};

/* The table. */

static void put_edge(const struct peek *peek, const struct neighbour *edge, uint32_t place, const struct row *row)
{
  const struct place *shown = place_of(peek->rows->places, place);
  g_autofree char *name = view_place_name(shown->name, shown->file, shown->line);
  g_autofree char *text = g_strconcat("  ", name, edge->is_inlined ? " (inline)" : "", NULL);
  table_begin_row(peek->table, COLOUR_NONE);
  for (int i = 0; i < 4; i++)
    table_put(peek->table, "");
  view_put_quantity(peek->table, edge->value, peek->rows->unit);
  view_put_percentage(peek->table, edge->value, row->cum);
  view_put_error(peek->table, peek->has_errors, edge->value, edge->variance, peek->rows->unit);
  table_put(peek->table, text);
}

static void put_function(const struct peek *peek, const struct row *row)
{
  const struct rows *rows = peek->rows;
  g_autofree char *name = view_place_name(row->name, row->file, row->line);
  table_begin_row(peek->table, COLOUR_BOLD);
  view_put_quantity(peek->table, row->flat, rows->unit);
  view_put_percentage(peek->table, row->flat, rows->total);
  view_put_quantity(peek->table, row->cum, rows->unit);
  view_put_percentage(peek->table, row->cum, rows->total);
  table_put(peek->table, "");
  table_put(peek->table, "");
  view_put_error(peek->table, peek->has_errors, row->cum, row->cum_variance, rows->unit);
  table_put(peek->table, name);
}

static void put_block(const struct peek *peek, const struct row *row)
{
  uint32_t count;
  const struct neighbour *edges = neighbours_callers(peek->neighbours, row->place, &count);
  for (uint32_t i = 0; i < count; i++)
    put_edge(peek, &edges[i], edges[i].caller, row);
  put_function(peek, row);
  edges = neighbours_callees(peek->neighbours, row->place, &count);
  for (uint32_t i = 0; i < count; i++)
    put_edge(peek, &edges[i], edges[i].callee, row);
}

/* Of the stacks that run through what is shown. */
static struct cut_share cut_share_of_wanted(const struct heap *heap, int type, const struct rows *rows,
                                            const bool *is_wanted)
{
  g_autofree bool *is_shown = g_new0(bool, heap->samples->len);
  struct heap_places *places = heap_places_new(rows->places, heap);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    uint32_t count;
    const struct stack_place *stack = heap_places_stack(places, i, &count);
    for (uint32_t k = 0; k < count; k++)
      is_shown[i] |= is_wanted[stack[k].place];
  }
  heap_places_free(places);
  return cut_share_of(heap, type, is_shown);
}

static void print_blocks(const struct heap *heap, int type, const struct rows *rows, const bool *is_wanted)
{
  static const char *const titles[] = {"flat", "flat%", "cum", "cum%", "calls", "calls%"};
  struct neighbours *neighbours = neighbours_of(heap, type, rows, is_wanted);
  struct peek peek = {.rows = rows, .neighbours = neighbours, .table = table_new()};
  peek.has_errors = view_has_errors(rows->has_variances, rows->total_variance);
  static const unsigned ranks[] = {5, 2, 6, 3, 0, 4};
  for (size_t i = 0; i < G_N_ELEMENTS(titles); i++)
    table_add_column_of_rank(peek.table, titles[i], TABLE_RIGHT, ranks[i]);
  table_add_column_of_rank(peek.table, peek.has_errors ? "±95%" : "", TABLE_RIGHT, 1);
  table_add_column(peek.table, "context", TABLE_LEFT);
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    if (!is_wanted[row->place])
      continue;
    table_begin_row(peek.table, COLOUR_NONE);
    put_block(&peek, row);
  }
  g_autoptr(GString) header = g_string_new(NULL);
  view_append_header(header, heap, type);
  view_append_certainty(header, heap, type, rows->total, rows->total_variance);
  struct cut_share cut = cut_share_of_wanted(heap, type, rows, is_wanted);
  view_append_cut(header, "Cut stacks", &cut, rows->type_name);
  (void)fputs(header->str, stdout);
  table_print(peek.table, stdout);
  table_free(peek.table);
  neighbours_free(neighbours);
}

/* What is looked for. */

/* By place; NULL after a message: nothing matches, or the expression was given up. */
static bool *find_wanted(const struct rows *rows, const GRegex *expression, const char *source)
{
  g_autofree bool *is_wanted = g_new0(bool, rows->places->places->len);
  bool has_any = false;
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    g_autofree char *name = view_place_name(row->name, row->file, row->line);
    is_wanted[row->place] = expression_matches(expression, name);
    has_any |= is_wanted[row->place];
  }
  if (!has_any && !expression_is_given_up(expression))
    say("%s: no function in it matches '%s'; heapprof top lists them", source, expression_text(expression));
  return has_any ? g_steal_pointer(&is_wanted) : NULL;
}

static int peek(const struct cmd_line *line, const struct heap *heap, const GRegex *expression)
{
  int type, status = EXIT_FAILED;
  if (!view_find_type(heap, value_options_type(line), &type))
    return EXIT_FAILED;
  struct rows *rows = rows_of(heap, type, row_options_by(line), ROWS_ORDER_FLAT);
  g_autofree bool *is_wanted = find_wanted(rows, expression, heap->name);
  if (is_wanted != NULL) {
    print_blocks(heap, type, rows, is_wanted);
    status = finish_output(EXIT_OK);
  }
  rows_free(rows);
  return status;
}

/* What is looked for, and where: the other way round if only that makes sense. */
static void choose_operands(const struct cmd_line *line, const char **wanted, const char **source)
{
  bool is_swapped = source_exists(line->operands[0]) && !source_exists(line->operands[1]);
  *wanted = line->operands[is_swapped ? 1 : 0];
  *source = line->operands[is_swapped ? 0 : 1];
}

static int run(const struct cmd_line *line)
{
  const char *wanted, *source;
  struct filter *filter;
  if (line->count != 2)
    return cmd_takes(line, 2, "an expression, and one process or profile");
  if (!value_options_agree(line) || !moment_options_check(line, "at") || !filter_options(line, &filter))
    return EXIT_USAGE;
  choose_operands(line, &wanted, &source);
  g_autoptr(GRegex) expression = expression_compile(wanted);
  g_autofree char *name = expression != NULL ? moment_options(line, source) : NULL;
  struct heap *heap = name != NULL ? view_open(name, filter) : NULL;
  int status = heap != NULL ? peek(line, heap, expression) : EXIT_FAILED;
  heap_free(heap);
  filter_free(filter);
  return status;
}

const struct command cmd_peek = {
    .name = "peek",
    .operands = "REGEX PID|NAME|FILE",
    .summary = "Show who calls a function, and what it calls",
    .options = options,
    .run = run,
};
