/* SPDX-License-Identifier: MIT */
/* The table of heapprof top, as text: once for a pipe, again and again for a screen. */
#ifndef HEAPPROF_TOP_H
#define HEAPPROF_TOP_H

#include "tools/heap/heap.h"
#include "tools/views/rows.h"

#include <stdio.h>

struct top {
  const struct rows *rows;
  bool has_changes;               /* there is a column that tells what changed, ~ if that may be sampling alone */
  const struct rows *changes;     /* a difference with what was before; NULL: nothing was */
  const struct heap *heap, *base; /* base: what rows are a difference with, else NULL */
  int type;                       /* in heap */
  enum rows_order order;
  uint32_t first, count; /* the stretch of rows that is shown; fewer if there are fewer */
};

/* What percentages are of: as in pprof, of a difference what it is a difference with. */
double top_whole(const struct top *top);

/* What pprof's -top prints above its table, and how certain it is. */
void top_append_header(GString *text, const struct top *top);

/* Columns as pprof's -top has them, and error bars. sum% counts from the first row of all. `width` and `stream` as for
 * table_append. */
void top_append_table(GString *text, const struct top *top, int width, FILE *stream);

/* What to do where all that is shown has addresses for names. */
void top_append_hint(GString *text, const struct top *top);

#endif
