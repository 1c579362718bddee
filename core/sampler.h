/* SPDX-License-Identifier: MIT */
/* Which allocations are sampled, and what each one stands for (docs/sampling.md).
 *
 * Every thread counts down allocated units (bytes, plus one for each allocation) to its next sample; the distances are
 * exponential with mean R, so an allocation of s bytes is sampled with p = 1 - exp(-(s + 1) / R) and stands for 1/p of
 * its kind. R = 1 is the exact mode: every allocation, p = 1.
 *
 * Threads: state of the calling thread only, apart from sampler_start and sampler_stop. Signals: a handler that
 * allocates between two steps of the interrupted thread shifts a distance, it breaks nothing. Memory: core/thread.h.
 * Fork: a child draws from streams of its own.
 */
#ifndef HEAPPROF_SAMPLER_H
#define HEAPPROF_SAMPLER_H

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/tally.h"
#include "core/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sampler_mode {
  SAMPLER_STARTING, /* before the constructor has run: no sampling yet, ask again at each allocation */
  SAMPLER_ON,
  SAMPLER_STOPPED, /* by the program, which may start it again */
  SAMPLER_INERT,   /* for good */
};

/* Threads may run before the constructor has: who sees what it stored sees what the constructor did before. */
extern HIDDEN _Atomic int sampler_mode;

static inline void sampler_switch(int from, int to)
{
  atomic_compare_exchange_strong(&sampler_mode, &from, to);
}

/* The fast path: 4 instructions. True: the next sample lies within this allocation; nothing was counted yet, ask
 * sampler_decide.
 *
 * The countdown never goes below zero, not even for a moment: a handler may longjmp away at any point, and dlsym may
 * allocate on our behalf. */
static ALWAYS_INLINE bool sampler_count_down(size_t size_bytes)
{
  return arch_count_down(&this_thread.countdown, size_bytes);
}

/* What is known about an allocation that is due, before the real function is called. */
struct sampler_decision {
  bool is_sampled;
  bool is_cold;           /* so much was allocated since the last sample that little of it is in the caches */
  uint64_t units_counted; /* allocated by this thread since its last decision, this one included */
  uint64_t ticks;         /* spent on deciding; 0: this sample is not timed */
  unsigned coins;         /* random bits, of which nothing else depends */
};

/* Draws the next distance. */
SAMPLED struct sampler_decision sampler_decide(size_t size_bytes);

enum { SAMPLER_COIN_BITS = 11 };

/* 1/p for an allocation of that size, at the interval in force. Not in any half. */
SAMPLED struct sample_weight sampler_weigh(size_t size_bytes);

/* The halves of a new sample: each is as if samples were drawn at twice the interval, independently of the other. Both
 * together are all samples. */
SAMPLED unsigned sampler_choose_halves(struct sample_weight weight, unsigned coins);

/* What the calling thread has allocated since its last decision; counted only once. Not for handlers. */
uint64_t sampler_flush(void);

/* Does a real function come back through our hooks (glibc's reallocarray calls realloc)? Call it between begin and end,
 * for a small object: the countdown, set a known way ahead, has moved on if another hook was called. A probe left by an
 * exception or siglongjmp delays this thread's next sample by SAMPLER_PROBE_UNITS. */
enum { SAMPLER_PROBE_UNITS = 1 << 20 };

static inline uint64_t sampler_probe_begin(void)
{
  return this_thread.countdown += SAMPLER_PROBE_UNITS;
}

static inline bool sampler_probe_end(uint64_t begun)
{
  bool was_entered = this_thread.countdown != begun;
  this_thread.countdown = begun - SAMPLER_PROBE_UNITS;
  return was_entered;
}

/* What the calling thread allocates between begin and end is part of an allocation that was counted already. A pause
 * left by siglongjmp delays this thread's next sample by SAMPLER_PAUSE_UNITS, more than a process can hold. */
#define SAMPLER_PAUSE_UNITS ((uint64_t)1 << 48)

struct sampler_pause {
  uint64_t countdown, interval;
};

static inline struct sampler_pause sampler_pause_begin(void)
{
  struct sampler_pause before = {this_thread.countdown, this_thread.interval};
  this_thread.interval = before.interval + SAMPLER_PAUSE_UNITS;
  this_thread.countdown = before.countdown + SAMPLER_PAUSE_UNITS;
  return before;
}

static inline void sampler_pause_end(struct sampler_pause before)
{
  this_thread.countdown = before.countdown;
  this_thread.interval = before.interval;
}

/* `is_repeatable`: forked children go on with the streams of their parent, so that a run can be repeated. */
void sampler_init(uint64_t interval_bytes, uint64_t seed, bool is_repeatable);
uint64_t sampler_interval(void);
uint64_t sampler_seed(void);

#endif
