/* SPDX-License-Identifier: MIT */
/* The table of a profile: per function or line, what it owns (flat; places.h, stack_owner) and what was allocated there
 * or below (cum), with variances. And of a difference: the same places in two profiles.
 *
 * Memory: rows own their texts; the heaps may go. */
#ifndef HEAPPROF_ROWS_H
#define HEAPPROF_ROWS_H

#include "tools/heap/heap.h"
#include "tools/views/cut_share.h"
#include "tools/views/places.h"

enum rows_by { ROWS_BY_FUNCTION = PLACES_BY_FUNCTION, ROWS_BY_LINE = PLACES_BY_LINE };
enum rows_order { ROWS_ORDER_FLAT, ROWS_ORDER_CUM };

struct row {
  const char *name; /* function; "[libfoo.so]" when it has no name, "<unknown>" when it is in no file either */
  const char *file; /* with ROWS_BY_LINE; "" if unknown */
  int64_t line;
  uint32_t place;             /* its number in places */
  bool is_inlined, is_called; /* somewhere; both, one, or (outermost) none */
  double flat, cum;
  double flat_variance, cum_variance;
  /* Of a difference flat and cum are new minus old, and these tell whether that is no more than sampling explains (95
   * %). */
  double old_flat, old_cum;
  bool is_flat_noise, is_cum_noise;
};

struct rows {
  GArray *rows;                 /* struct row, sorted: largest absolute value first, then by name; none of only zeros */
  double total, total_variance; /* of all samples; of a difference, of the new profile */
  double old_total;
  double change_variance; /* of a difference: of total - old_total */
  struct cut_share cut, old_cut;
  bool has_variances; /* false: all variances are 0 because nobody knows them */
  const char *unit, *type_name;
  struct places *places; /* whose texts these are */
};

struct rows *rows_of(const struct heap *heap, int type, enum rows_by by, enum rows_order order);

/* `type` of each. Two profiles of one process share samples, which makes the difference more certain than two
 * independent ones would: its variance is bounded by what was allocated and freed in between, where comments say that
 * it is the same process (change.h). */
struct rows *rows_of_difference(const struct heap *old, int old_type, const struct heap *new, int new_type,
                                enum rows_by by, enum rows_order order);
void rows_free(struct rows *rows);

#endif
