/* SPDX-License-Identifier: MIT */
/* The largest owners of a process's memory, by name, for series of a database: their names come and go, and each that
 * was ever seen costs it for long. So of one process at most SITES_NAMES_FACTOR times as many names as are shown at
 * once are ever shown; the rest counts as "[other]".
 *
 * The names that were shown are kept as text by whoever asks, from one time to the next.
 *
 * Memory: sites own their names.
 */
#ifndef HEAPPROF_SITES_H
#define HEAPPROF_SITES_H

#include "tools/heap/heap.h"

enum { SITES_MAX = 100, SITES_NAMES_FACTOR = 4 };

struct site {
  char *name;
  double bytes;
};

/* Names that were shown, by process. */
struct sites_shown;

struct sites_shown *sites_shown_of(const char *text, size_t size);
/* Only of those processes that were asked for. */
GString *sites_shown_text(const struct sites_shown *shown);
void sites_shown_free(struct sites_shown *shown);

/* struct site, `count` at most and one for all others; of a heap with names. */
GArray *sites_of(struct heap *heap, uint32_t count, struct sites_shown *shown);

#endif
