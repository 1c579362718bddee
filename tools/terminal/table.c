/* SPDX-License-Identifier: MIT */
#include "tools/terminal/table.h"

#include "tools/terminal/shown.h"

static const char gap[] = "  ";
enum { GAP_COLUMNS = 2 };

struct column {
  char *title;
  enum table_align align;
  int width;     /* of the widest text in it */
  unsigned rank; /* 0: it stays */
};

struct row_cells {
  GPtrArray *cells; /* char *, as shown */
  enum colour colour;
};

struct table {
  GArray *columns; /* struct column */
  GArray *rows;    /* struct row_cells */
};

static struct column *column_at(const struct table *table, uint32_t number)
{
  return &g_array_index(table->columns, struct column, number);
}

static struct row_cells *row_at(const struct table *table, uint32_t number)
{
  return &g_array_index(table->rows, struct row_cells, number);
}

struct table *table_new(void)
{
  struct table *table = g_new0(struct table, 1);
  table->columns = g_array_new(FALSE, TRUE, sizeof(struct column));
  table->rows = g_array_new(FALSE, TRUE, sizeof(struct row_cells));
  return table;
}

void table_free(struct table *table)
{
  if (table == NULL)
    return;
  for (uint32_t i = 0; i < table->columns->len; i++)
    g_free(column_at(table, i)->title);
  for (uint32_t i = 0; i < table->rows->len; i++)
    g_ptr_array_free(row_at(table, i)->cells, TRUE);
  g_array_free(table->columns, TRUE);
  g_array_free(table->rows, TRUE);
  g_free(table);
}

void table_add_column_of_rank(struct table *table, const char *title, enum table_align align, unsigned rank)
{
  char *shown = shown_text(title);
  struct column column = {shown, align, shown_width(shown), rank};
  g_array_append_val(table->columns, column);
}

void table_add_column(struct table *table, const char *title, enum table_align align)
{
  table_add_column_of_rank(table, title, align, 0);
}

void table_begin_row(struct table *table, enum colour colour)
{
  struct row_cells row = {g_ptr_array_new_with_free_func(g_free), colour};
  g_array_append_val(table->rows, row);
}

void table_put(struct table *table, const char *text)
{
  GPtrArray *cells = row_at(table, table->rows->len - 1)->cells;
  g_assert(cells->len < table->columns->len);
  char *shown = shown_text(text);
  struct column *column = column_at(table, cells->len);
  column->width = MAX(column->width, shown_width(shown));
  g_ptr_array_add(cells, shown);
}

/* `row` of NULL: the titles. */
static const char *cell_of(const struct table *table, const struct row_cells *row, uint32_t column)
{
  if (row == NULL)
    return column_at(table, column)->title;
  return column < row->cells->len ? g_ptr_array_index(row->cells, column) : "";
}

static void append_cell(GString *line, const struct column *column, const char *cell)
{
  int padding = column->width - shown_width(cell);
  if (column->align == TABLE_RIGHT)
    g_string_append_printf(line, "%*s%s", padding, "", cell);
  else
    g_string_append_printf(line, "%s%*s", cell, padding, "");
}

/* Which columns there are. */

static bool is_there(const struct table *table, uint32_t number, unsigned least_rank)
{
  const struct column *column = column_at(table, number);
  return column->width > 0 && (column->rank == 0 || column->rank >= least_rank);
}

/* What is left for the last column. */
static int width_left(const struct table *table, int width, unsigned least_rank)
{
  for (uint32_t i = 0; i + 1 < table->columns->len; i++)
    if (is_there(table, i, least_rank))
      width -= column_at(table, i)->width + GAP_COLUMNS;
  return width;
}

/* Columns of this rank and above stay, and those of rank 0. */
static unsigned choose_rank(const struct table *table, int width)
{
  unsigned most = 0, least = 1;
  int wanted = MIN(column_at(table, table->columns->len - 1)->width, (width + 1) / 2);
  for (uint32_t i = 0; i < table->columns->len; i++)
    most = MAX(most, column_at(table, i)->rank);
  while (width > 0 && least <= most && width_left(table, width, least) < wanted)
    least++;
  return least;
}

/* Without spaces at its end. */
static char *make_line(const struct table *table, const struct row_cells *row, int width)
{
  unsigned least_rank = choose_rank(table, width);
  g_autoptr(GString) line = g_string_new(NULL);
  uint32_t last = table->columns->len - 1;
  int used = 0;
  for (uint32_t i = 0; i < last; i++) {
    if (!is_there(table, i, least_rank))
      continue;
    append_cell(line, column_at(table, i), cell_of(table, row, i));
    g_string_append(line, gap);
    used += column_at(table, i)->width + GAP_COLUMNS;
  }
  const char *cell = cell_of(table, row, last);
  g_autofree char *cut = width > 0 ? shown_cut_middle(cell, MAX(width - used, 0)) : g_strdup(cell);
  g_string_append(line, cut);
  g_strchomp(line->str);
  return width > 0 ? shown_cut_end(line->str, width) : g_strdup(line->str);
}

static bool has_titles(const struct table *table)
{
  for (uint32_t i = 0; i < table->columns->len; i++)
    if (column_at(table, i)->title[0] != '\0')
      return true;
  return false;
}

static void append_line(const struct table *table, const struct row_cells *row, enum colour wanted, int width,
                        FILE *stream, GString *text)
{
  g_autofree char *line = make_line(table, row, width);
  if (wanted == COLOUR_NONE)
    g_string_append_printf(text, "%s\n", line);
  else
    g_string_append_printf(text, "%s%s%s\n", colour(stream, wanted), line, colour(stream, COLOUR_NONE));
}

void table_append(const struct table *table, int width, FILE *stream, GString *text)
{
  if (has_titles(table))
    append_line(table, NULL, COLOUR_BOLD, width, stream, text);
  for (uint32_t i = 0; i < table->rows->len; i++)
    append_line(table, row_at(table, i), row_at(table, i)->colour, width, stream, text);
}

void table_print(const struct table *table, FILE *stream)
{
  g_autoptr(GString) text = g_string_new(NULL);
  table_append(table, terminal_width(stream), stream, text);
  (void)fputs(text->str, stream);
}
