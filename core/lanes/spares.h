/* SPDX-License-Identifier: MIT */
/* What a lane has freed and the total of all (core/peak.h) still holds: the lane's next allocations take it from here,
 * and the total is left alone. What is in use is the total without all spares. So the total is too high by these, never
 * too low, and below a peak there is no peak.
 *
 * Each may go below 0 for a moment, where threads of a lane or a handler take from it at once: that, too, adds up.
 *
 * Threads, signals: lock-free. Memory: a cache line a lane. Fork: a child that adopts begins with none.
 */
#ifndef HEAPPROF_SPARES_H
#define HEAPPROF_SPARES_H

#include "core/compiler.h"

#include <stdint.h>

/* Of the calling thread's lane. Returns how much of that was there, and is taken. */
SAMPLED_EXACT uint64_t spare_take(uint64_t bytes_q4);

/* Returns how much is there then; as a signed number. */
SAMPLED_EXACT uint64_t spare_add(uint64_t bytes_q4);

/* Of all lanes. */
uint64_t spares_of_all(void);

void spares_reset(void);

#endif
