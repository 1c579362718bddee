/* SPDX-License-Identifier: MIT */
/* Who calls a function, and what it calls: the edges of the call graph at some of its places. */
#ifndef HEAPPROF_NEIGHBOURS_H
#define HEAPPROF_NEIGHBOURS_H

#include "tools/views/rows.h"

/* Stacks in which `caller` calls `callee`, each counted once. Of a function that calls itself there is no edge. */
struct neighbour {
  uint32_t caller, callee; /* places */
  double value, variance;
  bool is_inlined; /* in each of them */
};

struct neighbours;

/* Edges at places that are wanted: is_wanted has one element for each of rows->places. `rows` are those of this heap
 * and type. */
struct neighbours *neighbours_of(const struct heap *heap, int type, const struct rows *rows, const bool *is_wanted);
void neighbours_free(struct neighbours *neighbours);

/* The edges that come into or go out of a place that was wanted: largest absolute value first, then by name. */
const struct neighbour *neighbours_callers(const struct neighbours *neighbours, uint32_t place, uint32_t *count);
const struct neighbour *neighbours_callees(const struct neighbours *neighbours, uint32_t place, uint32_t *count);

#endif
