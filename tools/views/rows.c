/* SPDX-License-Identifier: MIT */
#include "tools/views/rows.h"

#include "tools/terminal/quantity.h"
#include "tools/views/change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One profile on its way into the rows. */
struct part {
  const struct heap *heap;
  int type;
  double sign;
  bool is_old;
  const double *variances; /* by sample; NULL: those of the heap */
};

static double variance_of(const struct part *part, uint32_t sample)
{
  return part->variances != NULL ? part->variances[sample] : heap_variance(part->heap, sample, part->type);
}

static struct rows *rows_new(const struct heap *heap, int type, enum rows_by by)
{
  struct rows *rows = g_new0(struct rows, 1);
  rows->rows = g_array_new(FALSE, TRUE, sizeof(struct row));
  rows->places = places_new((enum places_by)by);
  rows->unit = g_string_chunk_insert_const(rows->places->texts, heap_type(heap, (uint32_t)type)->unit);
  rows->type_name = g_string_chunk_insert_const(rows->places->texts, heap_type(heap, (uint32_t)type)->name);
  rows->has_variances = heap->variances != NULL;
  return rows;
}

void rows_free(struct rows *rows)
{
  if (rows == NULL)
    return;
  g_array_free(rows->rows, TRUE);
  places_free(rows->places);
  g_free(rows);
}

/* A row for each place, by its number. */
static void make_rows(struct rows *rows)
{
  uint32_t known = rows->rows->len;
  g_array_set_size(rows->rows, rows->places->places->len);
  for (uint32_t i = known; i < rows->rows->len; i++) {
    const struct place *place = place_of(rows->places, i);
    struct row *row = &g_array_index(rows->rows, struct row, i);
    row->name = place->name;
    row->file = place->file;
    row->line = place->line;
    row->place = i;
  }
}

static void add_flat(struct row *row, const struct part *part, double value, double variance)
{
  row->flat += part->sign * value;
  row->flat_variance += variance;
  if (part->is_old)
    row->old_flat += value;
}

static void add_cum(struct row *row, const struct part *part, double value, double variance)
{
  row->cum += part->sign * value;
  row->cum_variance += variance;
  if (part->is_old)
    row->old_cum += value;
}

/* `seen` tells per row which sample it has counted last, so that recursion counts once. */
static void add_sample(struct rows *rows, const struct part *part, struct heap_places *places, uint32_t sample,
                       uint32_t *seen)
{
  double value = (double)heap_values(part->heap, sample)[part->type], variance = variance_of(part, sample);
  uint32_t count;
  const struct stack_place *stack = heap_places_stack(places, sample, &count);
  uint32_t owner = stack_owner(stack, count);
  for (uint32_t i = 0; i < count; i++) {
    struct row *row = &g_array_index(rows->rows, struct row, stack[i].place);
    row->is_inlined |= stack[i].is_inlined;
    row->is_called |= !stack[i].is_inlined && i + 1 < count;
    if (i == owner)
      add_flat(row, part, value, variance);
    if (seen[stack[i].place] != sample + 1)
      add_cum(row, part, value, variance);
    seen[stack[i].place] = sample + 1;
  }
}

static void add_part(struct rows *rows, const struct part *part)
{
  struct heap_places *places = heap_places_new(rows->places, part->heap);
  make_rows(rows);
  g_autofree uint32_t *seen = g_new0(uint32_t, rows->rows->len);
  for (uint32_t i = 0; i < part->heap->samples->len; i++)
    if (heap_values(part->heap, i)[part->type] != 0 || variance_of(part, i) != 0)
      add_sample(rows, part, places, i, seen);
  heap_places_free(places);
}

static struct cut_share cut_share_kept(struct rows *rows, const struct heap *heap, int type)
{
  struct cut_share cut = cut_share_of(heap, type, NULL);
  if (cut.no_cfi_in != NULL)
    cut.no_cfi_in = g_string_chunk_insert_const(rows->places->texts, cut.no_cfi_in);
  return cut;
}

static double total_of(const struct heap *heap, int type)
{
  double total = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    total += (double)heap_values(heap, i)[type];
  return total;
}

static double total_variance_of(const struct part *part)
{
  double total = 0;
  for (uint32_t i = 0; i < part->heap->samples->len; i++)
    total += variance_of(part, i);
  return total;
}

/* Order. */

static int compare_sizes(double a, double b)
{
  return (fabs(a) < fabs(b)) - (fabs(a) > fabs(b));
}

static int compare_names(const struct row *a, const struct row *b)
{
  int order = strcmp(a->name, b->name);
  if (order == 0)
    order = strcmp(a->file, b->file);
  return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* As pprof sorts them, but for those that have nothing of their own, which it leaves by name: the large come first. */
static int by_flat(gconstpointer a, gconstpointer b)
{
  const struct row *one = a, *other = b;
  int order = compare_sizes(one->flat, other->flat);
  if (order == 0 && one->flat == 0)
    order = compare_sizes(one->cum, other->cum);
  return order != 0 ? order : compare_names(one, other);
}

static int by_cum(gconstpointer a, gconstpointer b)
{
  const struct row *one = a, *other = b;
  int order = compare_sizes(one->cum, other->cum);
  return order != 0 ? order : compare_names(one, other);
}

static void finish(struct rows *rows, enum rows_order order)
{
  uint32_t kept = 0;
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    if (row->flat != 0 || row->cum != 0)
      g_array_index(rows->rows, struct row, kept++) = *row;
  }
  g_array_set_size(rows->rows, kept);
  g_array_sort(rows->rows, order == ROWS_ORDER_CUM ? by_cum : by_flat);
}

struct rows *rows_of(const struct heap *heap, int type, enum rows_by by, enum rows_order order)
{
  struct rows *rows = rows_new(heap, type, by);
  struct part part = {.heap = heap, .type = type, .sign = 1};
  add_part(rows, &part);
  rows->total = total_of(heap, type);
  rows->cut = cut_share_kept(rows, heap, type);
  rows->total_variance = total_variance_of(&part);
  finish(rows, order);
  return rows;
}

static bool is_noise(double change, double variance)
{
  return change != 0 && fabs(change) <= quantity_half_width(variance);
}

/* A place of which the profile with the longer interval knows nothing may have had three of these intervals, in 95 of
 * 100 cases. With the same interval, that is left to the variances of both (docs/sampling.md, 8). */
static double blind_variance(const struct heap *old, const struct heap *new, double old_value, double new_value)
{
  enum { INTERVALS_MISSED_MAX = 3 };
  const struct heap *coarse = old->period > new->period ? old : new;
  double known = coarse == old ? old_value : new_value;
  if (old->period == new->period || known != 0 || old_value == new_value)
    return 0;
  return pow(INTERVALS_MISSED_MAX * (double)coarse->period / quantity_half_width(1), 2);
}

static void widen(struct rows *rows, const struct heap *old, const struct heap *new)
{
  for (guint i = 0; i < rows->rows->len && strcmp(rows->unit, "bytes") == 0; i++) {
    struct row *row = &g_array_index(rows->rows, struct row, i);
    row->flat_variance += blind_variance(old, new, row->old_flat, row->old_flat + row->flat);
    row->cum_variance += blind_variance(old, new, row->old_cum, row->old_cum + row->cum);
  }
}

struct rows *rows_of_difference(const struct heap *old, int old_type, const struct heap *new, int new_type,
                                enum rows_by by, enum rows_order order)
{
  struct rows *rows = rows_new(new, new_type, by);
  struct change_variances *variances = NULL;
  struct part before = {.heap = old, .type = old_type, .sign = -1, .is_old = true};
  struct part after = {.heap = new, .type = new_type, .sign = 1};
  rows->total = total_of(new, new_type);
  rows->total_variance = total_variance_of(&after);
  rows->old_total = total_of(old, old_type);
  rows->cut = cut_share_kept(rows, new, new_type);
  rows->old_cut = cut_share_kept(rows, old, old_type);
  rows->has_variances = old->variances != NULL && new->variances != NULL;
  if (rows->has_variances) {
    variances = change_variances_new(old, old_type, new, new_type);
    before.variances = variances->old;
    after.variances = variances->new;
    rows->change_variance = total_variance_of(&before) + total_variance_of(&after);
  }
  add_part(rows, &before);
  add_part(rows, &after);
  change_variances_free(variances);
  if (rows->has_variances)
    widen(rows, old, new);
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    struct row *row = &g_array_index(rows->rows, struct row, i);
    row->is_flat_noise = rows->has_variances && is_noise(row->flat, row->flat_variance);
    row->is_cum_noise = rows->has_variances && is_noise(row->cum, row->cum_variance);
  }
  finish(rows, order);
  return rows;
}
