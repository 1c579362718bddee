/* SPDX-License-Identifier: MIT */
/* The heap of a process as it is served: with names, inlined frames and lines, as `heapprof dump` writes it, and in the
 * four types that Go's has.
 *
 * Failure: NULL and *error.
 */
#ifndef HEAPPROF_SERVED_HEAP_H
#define HEAPPROF_SERVED_HEAP_H

#include "tools/heap/heap.h"
#include "tools/state/targets.h"

/* `reason` goes into the comments. */
struct heap *served_heap_read(const struct target *target, enum region_moment moment, const char *reason,
                              GError **error);

/* Names for what was read, and what goes by them. */
void served_heap_finish(struct heap *heap, const struct target *target);

/* The same, where no file is looked into from then on (symbols.h). False: not all were. */
bool served_heap_finish_by(struct heap *heap, const struct target *target, int64_t until_us);

/* Names alone, for locations that are there. */
void served_heap_add_names(struct heap *heap, const struct target *target);

#endif
