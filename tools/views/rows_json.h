/* SPDX-License-Identifier: MIT */
/* Rows as JSON: stable keys, which the manual documents; numbers as they are, not rounded to units. */
#ifndef HEAPPROF_ROWS_JSON_H
#define HEAPPROF_ROWS_JSON_H

#include "tools/views/rows.h"

#include <jansson.h>

/* {"type", "unit", "total", "total_error", "cut", "row_count", "rows": [...]}, the first `count` of the rows; errors
 * are half widths of 95 % intervals, null where nobody knows. Of a difference also "old_total", "old_cut", "change",
 * "change_error". */
json_t *rows_json(const struct rows *rows, uint32_t count);
json_t *rows_json_of_difference(const struct rows *rows, uint32_t count);

/* {"total", "no_cfi", ...}: a key for each reason, always. */
json_t *rows_json_cut(const struct cut_share *share);

/* A whole number where it is one; null if it is none. */
json_t *rows_json_number(double value);

/* Prints it with a newline and lets go of it. */
void rows_json_print(json_t *json);

#endif
