/* SPDX-License-Identifier: MIT */
#include "tools/views/listing.h"

#include "tools/filter/expression.h"
#include "tools/heap/input.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { MARGIN_LINES = 5, SOURCE_BYTES_MAX = 16 << 20, TAB_COLUMNS = 8 };

/* The lines of one function in one file, which follow each other in an array sorted by name, file and line. */
struct stretch {
  const struct row *const *rows;
  uint32_t count;
};

static const struct row *row_of(const struct stretch *stretch, uint32_t number)
{
  return stretch->rows[number];
}

/* Rows. */

static gint compare_rows(gconstpointer a, gconstpointer b)
{
  const struct row *one = *(const struct row *const *)a, *other = *(const struct row *const *)b;
  int order = strcmp(one->name, other->name);
  if (order == 0)
    order = strcmp(one->file, other->file);
  return order != 0 ? order : (one->line > other->line) - (one->line < other->line);
}

static GPtrArray *find_rows(const struct rows *rows, const GRegex *expression)
{
  GPtrArray *found = g_ptr_array_new();
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    struct row *row = &g_array_index(rows->rows, struct row, i);
    if (expression_matches(expression, row->name))
      g_ptr_array_add(found, row);
  }
  g_ptr_array_sort(found, compare_rows);
  return found;
}

static struct stretch stretch_from(const GPtrArray *rows, uint32_t first)
{
  const struct row *begin = g_ptr_array_index(rows, first);
  uint32_t end = first + 1;
  for (; end < rows->len; end++) {
    const struct row *row = g_ptr_array_index(rows, end);
    if (strcmp(row->name, begin->name) != 0 || strcmp(row->file, begin->file) != 0)
      break;
  }
  return (struct stretch){(const struct row *const *)rows->pdata + first, end - first};
}

/* Files. */

/* Where it is: where the profile says, else below the current directory, by as much of its path as is there. */
static char *find_source(const char *file)
{
  struct stat status;
  for (const char *tried = file;; tried++) {
    if (stat(tried, &status) == 0 && S_ISREG(status.st_mode))
      return g_strdup(tried);
    if ((tried = strchr(tried, '/')) == NULL)
      return NULL;
  }
}

/* NULL after a line that says why. */
static char **read_source(GString *text, const char *file)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *path = find_source(file);
  GByteArray *bytes = path != NULL ? input_read(path, SOURCE_BYTES_MAX, &error) : NULL;
  if (bytes == NULL) {
    g_autofree char *why = error != NULL ? shown_text(error->message) : g_strdup("there is no such file");
    g_string_append_printf(text, " The source cannot be shown: %s\n", why);
    return NULL;
  }
  if (bytes->data[bytes->len - 1] == '\n')
    g_byte_array_set_size(bytes, bytes->len - 1); /* it ends a line, and begins none */
  g_byte_array_append(bytes, (const guint8 *)"", 1);
  char **lines = g_strsplit((const char *)bytes->data, "\n", -1);
  g_byte_array_unref(bytes);
  return lines;
}

static char *without_tabs(const char *line)
{
  g_autoptr(GString) spaced = g_string_new(NULL);
  for (; *line != '\0' && strcmp(line, "\r") != 0; line++) {
    if (*line == '\t')
      g_string_append_printf(spaced, "%*s", (int)(TAB_COLUMNS - spaced->len % TAB_COLUMNS), "");
    else
      g_string_append_c(spaced, *line);
  }
  return shown_text(spaced->str);
}

/* Lines. */

static void append_values(GString *text, const char *unit, double flat, double cum)
{
  g_string_append_printf(text, "%10s %10s", flat != 0 ? quantity(flat, unit).text : ".",
                         cum != 0 ? quantity(cum, unit).text : ".");
}

static void append_source(GString *text, const struct stretch *stretch, const char *unit, char **lines)
{
  int64_t first = MAX(row_of(stretch, 0)->line - MARGIN_LINES, 1),
          last = row_of(stretch, stretch->count - 1)->line + MARGIN_LINES;
  uint32_t next = 0;
  for (int64_t number = 1; number <= last && lines[number - 1] != NULL; number++) {
    if (number < first)
      continue;
    double flat = 0, cum = 0;
    for (; next < stretch->count && row_of(stretch, next)->line <= number; next++) {
      flat += row_of(stretch, next)->line == number ? row_of(stretch, next)->flat : 0;
      cum += row_of(stretch, next)->line == number ? row_of(stretch, next)->cum : 0;
    }
    g_autofree char *line = without_tabs(lines[number - 1]);
    append_values(text, unit, flat, cum);
    g_string_append_printf(text, " %6" G_GINT64_FORMAT ":%s\n", number, line);
  }
}

static void append_stretch(GString *text, const struct stretch *stretch, const char *unit, double whole)
{
  double flat = 0, cum = 0;
  for (uint32_t i = 0; i < stretch->count; i++) {
    flat += row_of(stretch, i)->flat;
    cum += row_of(stretch, i)->cum;
  }
  g_autofree char *name = shown_text(row_of(stretch, 0)->name), *file = shown_text(row_of(stretch, 0)->file);
  if (file[0] == '\0') {
    g_string_append_printf(text, "Nobody knows the source of %s\n", name);
    return;
  }
  g_string_append_printf(text, "ROUTINE ======================== %s in %s\n", name, file);
  append_values(text, unit, flat, cum);
  g_string_append_printf(text, " (flat, cum) %s of Total\n", quantity_percentage(fabs(cum), fabs(whole)).text);
  g_auto(GStrv) lines = read_source(text, row_of(stretch, 0)->file);
  if (lines != NULL)
    append_source(text, stretch, unit, lines);
}

bool listing_append(GString *text, const struct rows *rows, const GRegex *expression, double whole)
{
  g_autoptr(GPtrArray) found = find_rows(rows, expression);
  g_string_append_printf(text, "Total: %s\n", quantity(whole, rows->unit).text);
  for (uint32_t i = 0; i < found->len;) {
    struct stretch stretch = stretch_from(found, i);
    append_stretch(text, &stretch, rows->unit, whole);
    i += stretch.count;
  }
  return found->len > 0;
}
