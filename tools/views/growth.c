/* SPDX-License-Identifier: MIT */
#include "tools/views/growth.h"

#include "tools/terminal/quantity.h"
#include "tools/views/change.h"
#include "tools/views/view.h"

#include <string.h>

static const struct limit_kind kinds[] = {{.name = "growth", .is_of_bytes = true, .takes_percentages = true},
                                          {.name = NULL}};

GArray *growth_limits_read(const char *const *texts)
{
  return limits_read(texts, kinds, "growth>PERCENT% or growth>SIZE (5%, 0.5%, 10M, 0), in quotes for the shell");
}

static double total_of(const struct heap *heap, int type)
{
  double total = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    total += (double)heap_values(heap, i)[type];
  return total;
}

static double variance_of(const struct heap *heap, int type)
{
  double variance = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    variance += heap_variance(heap, i, type);
  return variance;
}

static struct growth growth_of(const struct heap *old, int old_type, const struct heap *new, int new_type)
{
  return (struct growth){.old_total = total_of(old, old_type),
                         .new_total = total_of(new, new_type),
                         .old_variance = variance_of(old, old_type),
                         .new_variance = variance_of(new, new_type),
                         .change_variance = change_variance_of_totals(old, old_type, new, new_type),
                         .interval = (double)new->period,
                         .is_of_bytes = strcmp(heap_type(new, (uint32_t)new_type)->unit, "bytes") == 0};
}

/* A new text; NULL: they can be judged. */
static char *why_not(const struct heap *old, const struct heap *new)
{
  const struct heap *without = old->variances == NULL ? old : new->variances == NULL ? new : NULL;
  if (without != NULL)
    return g_strdup_printf("%s does not tell how far off it can be", without->name);
  if (old->period == new->period)
    return NULL;
  return g_strdup_printf("%s has a sample every %s on average, %s every %s; it takes two of the same interval",
                         old->name, quantity((double)old->period, "bytes").text, new->name,
                         quantity((double)new->period, "bytes").text);
}

/* What grew most. */
static void append_site(GString *text, const struct heap *old, int old_type, const struct heap *new, int new_type)
{
  struct rows *rows = rows_of_difference(old, old_type, new, new_type, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  const struct row *most = NULL;
  for (guint i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    if (row->flat > (most != NULL ? most->flat : 0))
      most = row;
  }
  if (most != NULL) {
    g_autofree char *name = view_row_name(most);
    g_string_append_printf(text, "; most in %s: %s", name, quantity_signed(most->flat, rows->unit).text);
  }
  rows_free(rows);
}

static void append_growth(GString *text, const struct limit *limit, const struct growth *growth, const char *unit)
{
  double change = growth->new_total - growth->old_total;
  bool has_error = growth->change_variance > 0;
  g_string_append_printf(text, "%s after %s", quantity(growth->new_total, unit).text,
                         quantity(growth->old_total, unit).text);
  g_string_append_printf(text, ", %s%s%s", quantity_signed(change, unit).text, has_error ? " " : "",
                         has_error ? quantity_error(change, growth->change_variance, unit).text : "");
  if (growth->old_total > 0)
    g_string_append_printf(text, ", %s", quantity_percentage(change, growth->old_total).text);
  g_string_append_printf(text, ", %s too much", quantity(limit_growth_excess(limit, growth), unit).text);
  if (strcmp(unit, "bytes") == 0 && limit->bound > 0 && g_ascii_isdigit(limit->text[strlen(limit->text) - 1]))
    g_string_append_printf(text, " (for %s, without a %%)", quantity(limit->bound, unit).text);
}

GArray *growth_judge(const GArray *limits, const struct heap *old, int old_type, const struct heap *new, int new_type)
{
  GArray *outcomes = limits_outcomes_new(limits);
  g_autofree char *problem = limits->len > 0 ? why_not(old, new) : NULL;
  if (limits->len == 0)
    return outcomes;
  if (problem != NULL)
    limits_note_unknown(outcomes, problem);
  struct growth growth = growth_of(old, old_type, new, new_type);
  for (guint i = 0; i < limits->len && problem == NULL; i++) {
    const struct limit *limit = &g_array_index(limits, struct limit, i);
    if (!limit_growth_is_broken(limit, &growth, limits->len))
      continue;
    g_autoptr(GString) text = g_string_new(NULL);
    append_growth(text, limit, &growth, heap_type(new, (uint32_t)new_type)->unit);
    append_site(text, old, old_type, new, new_type);
    limits_note(outcomes, limit, LIMIT_BROKEN, text->str);
  }
  limits_tell(outcomes);
  return outcomes;
}
