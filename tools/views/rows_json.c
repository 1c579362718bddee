/* SPDX-License-Identifier: MIT */
#include "tools/views/rows_json.h"

#include "tools/terminal/quantity.h"

#include <math.h>
#include <stdio.h>

json_t *rows_json_number(double value)
{
  if (!isfinite(value))
    return json_null();
  return value == floor(value) && fabs(value) < 9e15 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *error_of(const struct rows *rows, double variance)
{
  return rows->has_variances ? rows_json_number(quantity_half_width(variance)) : json_null();
}

static json_t *place_of_row(const struct row *row)
{
  return json_pack("{s:s, s:s, s:I, s:b}", "function", row->name, "file", row->file, "line", (json_int_t)row->line,
                   "inlined", row->is_inlined);
}

static void set(json_t *object, const char *key, json_t *value)
{
  (void)json_object_set_new(object, key, value);
}

json_t *rows_json_cut(const struct cut_share *share)
{
  static const char *const keys[] = {
      "unknown",
#define HEAPPROF_CUT(identifier, label) #identifier,
#include "core/cuts.def"
#undef HEAPPROF_CUT
  };
  json_t *json = json_object();
  set(json, "total", rows_json_number(cut_share_sum(share)));
  for (int cut = 0; cut < CUT_COUNT; cut++)
    set(json, keys[cut], rows_json_number(share->parts[cut]));
  return json;
}

static json_t *json_of_row(const struct rows *rows, const struct row *row)
{
  json_t *json = place_of_row(row);
  set(json, "flat", rows_json_number(row->flat));
  set(json, "flat_error", error_of(rows, row->flat_variance));
  set(json, "cum", rows_json_number(row->cum));
  set(json, "cum_error", error_of(rows, row->cum_variance));
  return json;
}

static json_t *json_of_changed_row(const struct rows *rows, const struct row *row)
{
  json_t *json = json_of_row(rows, row);
  set(json, "old_flat", rows_json_number(row->old_flat));
  set(json, "old_cum", rows_json_number(row->old_cum));
  set(json, "flat_is_noise", json_boolean(row->is_flat_noise));
  set(json, "cum_is_noise", json_boolean(row->is_cum_noise));
  return json;
}

static json_t *json_of_rows(const struct rows *rows, uint32_t count,
                            json_t *(*of_row)(const struct rows *, const struct row *))
{
  json_t *json = json_pack("{s:s, s:s}", "type", rows->type_name, "unit", rows->unit), *list = json_array();
  for (uint32_t i = 0; i < rows->rows->len && i < count; i++)
    (void)json_array_append_new(list, of_row(rows, &g_array_index(rows->rows, struct row, i)));
  set(json, "total", rows_json_number(rows->total));
  set(json, "total_error", error_of(rows, rows->total_variance));
  set(json, "cut", rows_json_cut(&rows->cut));
  set(json, "row_count", json_integer(rows->rows->len));
  set(json, "rows", list);
  return json;
}

json_t *rows_json(const struct rows *rows, uint32_t count)
{
  return json_of_rows(rows, count, json_of_row);
}

json_t *rows_json_of_difference(const struct rows *rows, uint32_t count)
{
  json_t *json = json_of_rows(rows, count, json_of_changed_row);
  set(json, "old_total", rows_json_number(rows->old_total));
  set(json, "old_cut", rows_json_cut(&rows->old_cut));
  set(json, "change", rows_json_number(rows->total - rows->old_total));
  set(json, "change_error", error_of(rows, rows->change_variance));
  return json;
}

void rows_json_print(json_t *json)
{
  (void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
  (void)putchar('\n');
  json_decref(json);
}
