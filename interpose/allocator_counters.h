/* SPDX-License-Identifier: MIT */
/* What the allocator says of itself, for readers of the state file: of jemalloc, by its mallctl.
 *
 * Asking takes locks of the allocator. Who was interrupted by a signal may hold them, so nothing is asked from a
 * handler, nor where the stack does not tell whether there is one, nor in a forked child.
 *
 * Threads: any. Signals: safe, blocked meanwhile. Memory: a stack for the time of the call. Failure: what was known
 * stays. */
#ifndef HEAPPROF_ALLOCATOR_COUNTERS_H
#define HEAPPROF_ALLOCATOR_COUNTERS_H

#include "core/unwind.h"

/* For the program that called one of ours: `start` is its frame. */
void allocator_counters_leave(const struct unwind_start *start);

#endif
