/* SPDX-License-Identifier: MIT */
/* Measures a few of many short events by the machine's clock, which takes up to some 10 ns to read: too long for each
 * of them. A tick is 0.4 ns on one machine and 40 ns on another, so constants are nanoseconds.
 *
 * Threads, signals, fork: any; ticks_init and ticks_settle where the region is made, one after the other.
 */
#ifndef HEAPPROF_TICKS_H
#define HEAPPROF_TICKS_H

#include "core/arch/arch.h"
#include "core/sys.h"

#include <stdint.h>

/* As if a tick took 1 ns, until ticks_settle has been there. */
extern HIDDEN uint32_t ticks_per_ns_q16;

/* 0 where it is refused. */
static inline uint64_t ticks_now(void)
{
  return clock_is_refused() ? 0 : arch_ticks();
}

/* Another number each time, to tell two of anything apart. */
static inline uint64_t ticks_or_ns(void)
{
  return clock_is_refused() ? clock_ns(CLOCK_MONOTONIC) : arch_ticks();
}

static inline uint64_t ticks_of_ns(uint32_t ns)
{
  return ((uint64_t)ns * ticks_per_ns_q16) >> 16;
}

/* 0: it took so long that another thread must have had the core. */
static inline uint64_t ticks_since(uint64_t begin)
{
  enum { PREEMPTED_NS = 400000 }; /* nothing we do takes that long */
  uint64_t ticks = ticks_now() - begin;
  return ticks < ticks_of_ns(PREEMPTED_NS) ? ticks : 0;
}

/* Looks at the clocks, from where on their speed is measured ... */
void ticks_init(void);

/* ... and, when a tenth of a millisecond or so has passed, how long a tick takes. */
void ticks_settle(void);

/* The speed as it is known by now: the machine's own word, or what was measured since ticks_init. 0: not at all yet. */
double ticks_per_second(void);

#endif
