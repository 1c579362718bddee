/* SPDX-License-Identifier: MIT */
#include "tools/views/top.h"

#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/views/view.h"

#include <math.h>
#include <string.h>

static const struct row *row_at(const struct rows *rows, uint32_t number)
{
  return &g_array_index(rows->rows, struct row, number);
}

static uint32_t end_of(const struct top *top)
{
  uint32_t length = top->rows->rows->len;
  return top->first >= length || top->count >= length - top->first ? length : top->first + top->count;
}

double top_whole(const struct top *top)
{
  return top->base != NULL ? top->rows->old_total : top->rows->total;
}

static bool has_errors(const struct top *top)
{
  const struct rows *rows = top->rows;
  return view_has_errors(rows->has_variances, top->base != NULL ? rows->change_variance : rows->total_variance);
}

static bool is_noise(const struct top *top, const struct row *row)
{
  return top->order == ROWS_ORDER_CUM ? row->is_cum_noise : row->is_flat_noise;
}

/* Header. */

static void append_nodes(GString *text, const struct top *top)
{
  double shown = 0, whole = top_whole(top);
  for (uint32_t i = top->first; i < end_of(top); i++)
    shown += row_at(top->rows, i)->flat;
  const char *unit = top->rows->unit;
  g_string_append_printf(text, "Showing nodes accounting for %s, %s of %s total\n", quantity(shown, unit).text,
                         quantity_percentage(fabs(shown), fabs(whole)).text, quantity(whole, unit).text);
  if (end_of(top) - top->first < top->rows->rows->len)
    g_string_append_printf(text, "Showing top %u nodes out of %u\n", end_of(top) - top->first, top->rows->rows->len);
}

static void append_change(GString *text, const struct top *top)
{
  const struct rows *rows = top->rows;
  double change = rows->total - rows->old_total;
  g_autofree char *base = shown_text(top->base->name);
  g_autofree char *error = shown_text(quantity_error(change, rows->change_variance, rows->unit).text);
  g_string_append_printf(text, "Difference with %s: %s%s%s in total\n", base, quantity_signed(change, rows->unit).text,
                         error[0] != '\0' && rows->has_variances ? " " : "", rows->has_variances ? error : "");
  bool has_noise = false;
  for (uint32_t i = top->first; i < end_of(top); i++)
    has_noise |= is_noise(top, row_at(rows, i));
  if (has_noise)
    g_string_append(text, "~: no more than sampling explains (95%)\n");
  if (!rows->has_variances)
    g_string_append(text, "The profiles do not tell which rows are noise\n");
}

void top_append_header(GString *text, const struct top *top)
{
  view_append_header(text, top->heap, top->type);
  append_nodes(text, top);
  if (top->base != NULL)
    append_change(text, top);
  else
    view_append_certainty(text, top->heap, top->type, top->rows->total, top->rows->total_variance);
  view_append_cut(text, "Cut stacks", &top->rows->cut, top->rows->type_name);
  view_append_cut(text, "Cut stacks of the base", &top->rows->old_cut, top->rows->type_name);
}

/* Table. */

static void add_columns(struct table *table, const struct top *top)
{
  bool has_error = has_errors(top), by_cum = top->order == ROWS_ORDER_CUM;
  static const char *const titles[] = {"flat", "±95%", "flat%", "sum%", "cum", "±95%", "cum%"};
  const bool is_shown[] = {true, has_error, true, true, true, has_error && by_cum, true};
  const unsigned ranks[] = {by_cum ? 7 : 0, 5, 4, 1, by_cum ? 0 : 6, by_cum ? 5 : 2, 3}; /* of columns: table.h */
  for (size_t i = 0; i < G_N_ELEMENTS(titles); i++)
    table_add_column_of_rank(table, is_shown[i] ? titles[i] : "", TABLE_RIGHT, ranks[i]);
  table_add_column_of_rank(table, top->has_changes ? "changed" : "", TABLE_RIGHT, 8);
  table_add_column(table, "", TABLE_LEFT); /* ~ */
  table_add_column(table, "", TABLE_LEFT); /* name */
}

static const struct row *find_change(const struct rows *changes, const struct row *wanted)
{
  for (uint32_t i = 0; changes != NULL && i < changes->rows->len; i++) {
    const struct row *row = row_at(changes, i);
    if (row->line == wanted->line && strcmp(row->name, wanted->name) == 0 && strcmp(row->file, wanted->file) == 0)
      return row;
  }
  return NULL;
}

static enum colour colour_of(const struct top *top, double changed, bool is_noise)
{
  if (is_noise)
    return top->base != NULL ? COLOUR_DIM : COLOUR_NONE;
  return changed > 0 ? COLOUR_RED : changed < 0 ? COLOUR_GREEN : COLOUR_NONE;
}

static void put_row(struct table *table, const struct top *top, const struct row *row, double sum)
{
  const char *unit = top->rows->unit;
  bool has_error = has_errors(top), by_cum = top->order == ROWS_ORDER_CUM;
  const struct row *change = find_change(top->changes, row);
  double changed = change == NULL ? 0 : by_cum ? change->cum : change->flat;
  bool noise = is_noise(top, change != NULL ? change : row);
  g_autofree char *name = view_row_name(row);
  table_begin_row(table, colour_of(top, changed, noise));
  view_put_quantity(table, row->flat, unit);
  view_put_error(table, has_error, row->flat, row->flat_variance, unit);
  view_put_percentage(table, row->flat, top_whole(top));
  view_put_percentage(table, sum, top_whole(top));
  view_put_quantity(table, row->cum, unit);
  view_put_error(table, has_error && by_cum, row->cum, row->cum_variance, unit);
  view_put_percentage(table, row->cum, top_whole(top));
  table_put(table, changed != 0 ? quantity_signed(changed, unit).text : "");
  table_put(table, noise ? "~" : "");
  table_put(table, name);
}

void top_append_table(GString *text, const struct top *top, int width, FILE *stream)
{
  struct table *table = table_new();
  double sum = 0;
  add_columns(table, top);
  for (uint32_t i = 0; i < end_of(top); i++) {
    sum += row_at(top->rows, i)->flat;
    if (i >= top->first)
      put_row(table, top, row_at(top->rows, i), sum);
  }
  table_append(table, width, stream, text);
  table_free(table);
}

/* Does nothing that is shown own any memory under a name? */
static bool is_nameless(const struct top *top)
{
  bool has_any = false;
  for (uint32_t i = top->first; i < end_of(top); i++) {
    const struct row *row = row_at(top->rows, i);
    if (row->flat == 0)
      continue;
    if (place_of(top->rows->places, row->place)->role != FUNCTION_UNNAMED)
      return false;
    has_any = true;
  }
  return has_any;
}

void top_append_hint(GString *text, const struct top *top)
{
  if (is_nameless(top))
    g_string_append(text,
                    "No owner has a name: heapprof symbolize looks for debug information (debuginfod), heapprof tree "
                    "shows callers that have one\n");
}
