/* SPDX-License-Identifier: MIT */
/* A heap as a pprof message, as readers want it: ids 1 to N in order, every string once, the main program's mapping
 * first, no sample whose values are all zero, no two of the same stack and labels, nothing that no sample uses.
 *
 * Failure: none; the heap must be sound, as load.h and region_heap.h make it.
 */
#ifndef HEAPPROF_ENCODE_H
#define HEAPPROF_ENCODE_H

#include "tools/heap/heap.h"

/* The message, not compressed. If it has more than LOAD_BYTES_MAX (load.h), only so much that this shows. */
GByteArray *encode(const struct heap *heap);

#endif
