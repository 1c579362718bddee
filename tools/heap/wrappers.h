/* SPDX-License-Identifier: MIT */
/* Functions that allocate for their caller without being part of the allocator: libstdc++'s operator new, or a copy
 * linked into the program. The shim leaves them out of its own dumps; a heap read from outside has no names until
 * symbols are added.
 *
 * Failure: none; a name that is not known stays.
 */
#ifndef HEAPPROF_WRAPPERS_H
#define HEAPPROF_WRAPPERS_H

#include "tools/heap/heap.h"

/* Takes them off the inner end of every stack; one frame always stays. */
void wrappers_strip(struct heap *heap);

#endif
