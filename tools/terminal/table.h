/* SPDX-License-Identifier: MIT */
/* Aligned columns of text. Cells are shown as shown.h says, so names may be put in as they are. */
#ifndef HEAPPROF_TABLE_H
#define HEAPPROF_TABLE_H

#include "tools/terminal/say.h"

#include <glib.h>

struct table;

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table *table_new(void);
void table_free(struct table *table);

/* Columns come before rows. One whose title and cells are all "" is left out. The last one takes the width that is
 * left. */
void table_add_column(struct table *table, const char *title, enum table_align align);

/* The same for a column that goes when the table is too wide and the last column would have less than half of the
 * width: those of the lowest rank, which is not 0, go first. */
void table_add_column_of_rank(struct table *table, const char *title, enum table_align align, unsigned rank);

/* Rows are filled from the left; what is not put is empty. */
void table_begin_row(struct table *table, enum colour colour);
void table_put(struct table *table, const char *text);

/* Appends the lines. Where they are wider than `width` columns, the last cell has its middle cut out; 0: any width.
 * `stream` tells whether there are colours. */
void table_append(const struct table *table, int width, FILE *stream, GString *text);

/* On `stream`, as wide as its terminal. */
void table_print(const struct table *table, FILE *stream);

#endif
