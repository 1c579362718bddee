/* SPDX-License-Identifier: MIT */
/* Every stack with its value, the largest first, in the format of pprof -traces. */
#ifndef HEAPPROF_TRACES_H
#define HEAPPROF_TRACES_H

#include "tools/heap/heap.h"
#include "tools/views/places.h"

/* Of `type`; stacks whose value is 0 are left out. `count`: how many at most. Returns how many there are. */
uint32_t traces_append(GString *text, const struct heap *heap, int type, enum places_by by, uint32_t count);

#endif
