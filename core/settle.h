/* SPDX-License-Identifier: MIT */
/* How a process comes to a region of its own: it makes one at its first sample, and a forked child takes over its
 * parent's.
 *
 * A forked child pays nothing until it samples an allocation; then it takes over stacks and live objects into a region
 * of its own. Until then what it frees just leaves its live table.
 *
 * Threads, signals: safe; one thread makes the region or adopts, with signals blocked, others wait about a millisecond
 * and then do without. Fork: see process.h for how a child is known.
 */
#ifndef HEAPPROF_SETTLE_H
#define HEAPPROF_SETTLE_H

#include "core/config.h"

#include <stdbool.h>

/* From the constructor, before sampling starts. False: no memory. All arguments must live as long as the process. */
bool settle_init(const struct config *config, const char *program, const char *allocator);

/* Creates the region, once. Neither the constructor calls it nor the first allocation, but the first sample: most
 * programs that a shell starts never allocate enough for one, and need not pay for a file, nor leave one behind when
 * they exec. */
void settle_begin(void);

/* Makes the region this process's own if it is not. False: it cannot be used now. */
bool settle(void);

/* Both. */
bool settle_for_sample(void);

/* A sample that found no region, or one that is not this process's: counted as lost as soon as there is one. */
void settle_lose_sample(void);

/* Did this process sample without ever having a region to count in? */
bool settle_lost_everything(void);

/* What a child frees while it is not settled: kept aside until it is. */
bool settle_defer_free(const void *pointer);

/* For pthread_atfork, in the child. */
void settle_was_forked(void);

#endif
