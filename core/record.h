/* SPDX-License-Identifier: MIT */
/* One sampled event, end to end.
 *
 * Order (I8): an allocation is recorded before its pointer is returned; a free leaves the table before the real free
 * gets the pointer, which another thread may then be given at once.
 *
 * Threads, signals: safe, nothing is held. Stack: a hook and all that it calls of ours take at most 1 KiB of the
 * application's where it allocates, 512 bytes where it frees, whatever the depth (policy/test_library.Stack reads it
 * from the code). errno is kept. Failure: the sample is dropped and counted.
 */
#ifndef HEAPPROF_RECORD_H
#define HEAPPROF_RECORD_H

#include "core/compiler.h"
#include "core/live/live.h"
#include "core/sampler.h"
#include "core/unwind.h"

#include <stdbool.h>
#include <stddef.h>

/* From the constructor, after sampler_init. */
void record_init(unsigned depth);
unsigned record_depth(void);

/* The sample that was decided on, and its exact units. */
SAMPLED void record_allocation(const void *pointer, size_t size_bytes, const struct unwind_start *start,
                               const struct sampler_decision *decision);

/* Adds to the exact count that every profile carries as its own check. In exact mode it is of what no stack tells. */
SAMPLED void record_exact_units(uint64_t units);

/* The bucket of a stack, marked with these flags of enum stack_flag; 0: there is no room. In a settled process. */
uint32_t record_stack(const struct unwind_start *start, uint32_t flags);

/* For a pointer whose page the page filter holds. */
SAMPLED void record_free(const void *pointer);

/* The same in halves, for realloc: take before the real call, then either freed or put_back. */
SAMPLED bool record_take(const void *pointer, struct live_entry *entry);
SAMPLED void record_taken_was_freed(struct live_entry entry);
SAMPLED void record_put_back(const void *pointer, struct live_entry entry);

#endif
