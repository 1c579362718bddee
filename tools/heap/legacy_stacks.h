/* SPDX-License-Identifier: MIT */
/* Stacks of addresses, as text profiles have them, on their way into a heap: each address becomes one location,
 * whatever names stand beside it.
 *
 * Memory: owned by the stacks; texts are the heap's. Addresses are sorted, not hashed: no input can make them collide.
 */
#ifndef HEAPPROF_LEGACY_STACKS_H
#define HEAPPROF_LEGACY_STACKS_H

#include "tools/heap/heap.h"

struct legacy_stacks;

/* For a heap that has no location yet. */
struct legacy_stacks *legacy_stacks_new(struct heap *heap);
void legacy_stacks_free(struct legacy_stacks *stacks);

/* The next frame, from the innermost on, of a stack that has not ended yet. */
void legacy_stacks_add_frame(struct legacy_stacks *stacks, uint64_t address);

/* The stack that these frames were is a sample. `variances` as for heap_add_sample. */
void legacy_stacks_end(struct legacy_stacks *stacks, const int64_t *values, const double *variances);

/* A name of the address in the sample added last. Several for one address: inlined functions, innermost first. Those
 * of the first sample that has any count. */
void legacy_stacks_name(struct legacy_stacks *stacks, uint64_t address, struct heap_function function, int64_t line);

/* All that was added becomes locations and frames of the heap; locations get its mappings. */
void legacy_stacks_finish(struct legacy_stacks *stacks);

#endif
