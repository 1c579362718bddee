/* SPDX-License-Identifier: MIT */
/* What sampling costs, from some of the samples and frees: reading the clock takes a good part of what they take.
 *
 * What is timed is added to the region's header once the process owns it. What a look-up took that found nothing waits
 * in the thread for its next sample, since the free of an object that is no sample writes nothing that threads share.
 *
 * Threads, signals: any; a handler's work counts as the work of what it interrupted. Fork: an adopted region starts
 * with nothing.
 */
#ifndef HEAPPROF_TIMING_H
#define HEAPPROF_TIMING_H

#include "core/compiler.h"
#include "core/lanes/lanes.h"
#include "core/thread.h"
#include "core/ticks.h"

#include <stdbool.h>
#include <stdint.h>

enum {
  TIMING_MISSES_ONE_IN = 32, /* of look-ups that find nothing, which take less time than reading the clock */
  /* The branch that leads to what is timed is hardly ever taken, so it mispredicts, and code after it cannot time that.
   * Without this, the reported cost stays up to a third below what is measured from outside (tests/bench/overhead.py).
   */
  TIMING_MISPREDICTED_NS = 8,
};

/* One of 8 samples is timed, and of their frees, but fewer where threads meet: what is added up, they share. */
static ALWAYS_INLINE unsigned timing_is_left_out(uint8_t turn)
{
  return turn & atomic_load_explicit(&lanes_turn_mask, memory_order_relaxed);
}

/* A sample is timed in two parts, with the real function between them. Both begin with the clock, or 0: it is not
 * timed. */

static ALWAYS_INLINE uint64_t timing_begin_decision(void)
{
  return timing_is_left_out(this_thread.sample_turn) == 0 ? ticks_now() : 0;
}

/* The ticks that deciding took. 0: the sample is not timed. */
static ALWAYS_INLINE uint64_t timing_end_decision(uint64_t begin)
{
  this_thread.sample_turn++;
  return begin != 0 ? ticks_since(begin) : 0;
}

static ALWAYS_INLINE uint64_t timing_begin_sample(uint64_t decision_ticks)
{
  return decision_ticks != 0 ? ticks_now() : 0;
}

/* Adds both parts, and what look-ups took since the last sample of this thread. */
SAMPLED void timing_add_sample(uint64_t begin, uint64_t decision_ticks);

static ALWAYS_INLINE void timing_end_sample(uint64_t begin, uint64_t decision_ticks)
{
  if (UNLIKELY(begin != 0 || this_thread.look_up_ticks != 0))
    timing_add_sample(begin, decision_ticks);
}

/* Not the first: it is the slowest, and would charge a thread that frees few for many. */
static ALWAYS_INLINE bool timing_is_miss_timed(void)
{
  return UNLIKELY(++this_thread.miss_turn % TIMING_MISSES_ONE_IN == TIMING_MISSES_ONE_IN / 2);
}

/* After a look that found nothing. */
SAMPLED void timing_end_miss(uint64_t begin);

static ALWAYS_INLINE uint64_t timing_begin_free(void)
{
  return UNLIKELY(timing_is_left_out(++this_thread.free_turn + LANES_TURNS / 2) == 0) ? ticks_now() : 0;
}

/* `is_found`: it was a sample. What the filters let through, and is none, counts as a miss. */
SAMPLED void timing_add_free(uint64_t begin, bool is_found);

static ALWAYS_INLINE void timing_end_free(uint64_t begin, bool is_found)
{
  if (UNLIKELY(begin != 0))
    timing_add_free(begin, is_found);
}

/* Nanoseconds that all samples and frees took so far, estimated from those that were timed. Leaves the speed of the
 * clock and the processor time of the process in the region, for readers who cannot ask once it is gone. */
uint64_t timing_sampling_ns(void);

#endif
