/* SPDX-License-Identifier: MIT */
/* A heap, or the difference of two, as JSON for the report page (tools/report/src/profile.js reads it).
 *
 * ASCII without <, > and &: it can stand in an HTML script element, whatever the names in the profile are.
 *
 * Failure: NULL and *error, when the page would be too large.
 */
#ifndef HEAPPROF_HEAP_JSON_H
#define HEAPPROF_HEAP_JSON_H

#include "tools/heap/heap.h"

#include <jansson.h>

#define HEAP_JSON_ERROR g_quark_from_static_string("heapprof-heap-json")

/* What the page shows first. */
struct page_start {
  int type;
  bool is_by_leaf; /* what is allocated counts for the innermost function, not for the owner */
};

/* `base` may be NULL, and `resident` (resident_view.h) is so if the heap is not of a live process. NULL and *error: the
 * two count different things, or there is too much for a page (page_tree.h). */
GString *heap_json(const struct heap *heap, const struct heap *base, json_t *resident, struct page_start start,
                   GError **error);

#endif
