/* SPDX-License-Identifier: MIT */
/* Whose region is it? (hazards U3, P1, P2)
 *
 * A page that the kernel wipes on fork (MADV_WIPEONFORK) tells a forked child, raw clone() included, from a vfork child, which
 * shares its parent's memory and is its parent as far as the heap goes. A forked child pays nothing until it samples an
 * allocation; then it takes over stacks and live objects into a region of its own. Until then what it frees just leaves its live
 * table.
 *
 * Threads, signals: safe; one thread adopts, with signals blocked, others wait about a millisecond and then do without.
 */
#ifndef HEAPPROF_PROCESS_H
#define HEAPPROF_PROCESS_H

#include "core/compiler.h"
#include "core/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 1 in the process whose region is mapped, 0 in a forked child. */
extern HIDDEN _Atomic uint64_t *process_token;

static ALWAYS_INLINE bool process_is_settled(void)
{
  return LIKELY(atomic_load_explicit(process_token, memory_order_acquire) != 0);
}

/* From the constructor, before sampling starts. False: no memory. All arguments must live as long as the process. */
bool process_init(const struct config *config, const char *program, const char *allocator);

/* Creates the region, once; called by every sample. Neither by the constructor nor by the first allocation: most programs that a
 * shell starts never allocate enough for a sample, and need not pay for a file, nor leave one behind when they exec. */
void process_begin(void);

/* Makes the region this process's own if it is not. False: it cannot be used now. */
bool process_settle(void);

/* A sample that found no region, or one that is not this process's: counted as lost as soon as there is one. */
void process_lose_sample(void);

/* Did this process sample, but never had a region to count in? */
bool process_lost_everything(void);

/* What a child frees while it is not settled: kept aside until it is. */
bool process_defer_free(const void *pointer);

/* For pthread_atfork, where the kernel does not know MADV_WIPEONFORK. In the child. */
void process_was_forked(void);

/* Is this the process that the region describes, and not a vfork child of it, nor a forked child that never sampled? */
bool process_owns_region(void);

#endif
