/* SPDX-License-Identifier: MIT */
#include "core/sampler.h"

#include "core/ahead.h"
#include "core/compiler.h"
#include "core/prng.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/timing.h"

_Atomic int sampler_mode = SAMPLER_STARTING;

static uint64_t interval_bytes = 1;
static uint64_t seed;
static bool is_repeatable;
static _Atomic uint64_t threads_seeded;

/* A countdown whose end no thread lives to see. */
#define FOR_EVER ((uint64_t)INT64_MAX)

void sampler_init(uint64_t interval, uint64_t new_seed, bool repeats)
{
  interval_bytes = interval;
  seed = new_seed;
  is_repeatable = repeats;
  atomic_store_explicit(&threads_seeded, 0, memory_order_relaxed);
}

uint64_t sampler_interval(void)
{
  return interval_bytes;
}

uint64_t sampler_seed(void)
{
  return seed;
}

/* The lowest bits of what was drawn, which the distance does not depend on, are `coins`. */
static uint64_t draw(struct thread *thread, unsigned *coins)
{
  if (interval_bytes == 1)
    return 0;
  uint64_t bits = prng_next(&thread->prng);
  *coins = (unsigned)bits & ((1 << SAMPLER_COIN_BITS) - 1);
  return (uint64_t)prng_exponential_of(bits, (double)interval_bytes);
}

static uint16_t epoch_number(void)
{
  return (uint16_t)(process_epoch() >> PROCESS_EPOCH_SHIFT);
}

/* The seeds of a forked child are none of its parent's, nor of another child's. */
static void seed_thread(struct thread *thread)
{
  bool is_forked = process_epoch() != PROCESS_EPOCH_FIRST;
  uint64_t base = is_forked && !is_repeatable ? prng_derive(seed, (uint64_t)sys_getpid()) : seed;
  thread->prng = prng_derive(base, atomic_fetch_add_explicit(&threads_seeded, 1, memory_order_relaxed));
}

/* True: nothing was drawn in this thread before. */
static bool begin_stream(struct thread *thread)
{
  bool is_first = thread->seeded_in == 0;
  if (is_first || !is_repeatable)
    seed_thread(thread);
  thread->seeded_in = epoch_number();
  return is_first;
}

struct sampler_decision sampler_decide(size_t size_bytes)
{
  struct thread *thread = &this_thread;
  struct sampler_decision decision = {.is_sampled = false, .units_counted = 0, .ticks = 0, .coins = 0};
  uint64_t begin = timing_begin_decision();
  ahead_of_sample();
  int mode = atomic_load_explicit(&sampler_mode, memory_order_acquire /* pairs with the constructor's store */);
  if (UNLIKELY(mode == SAMPLER_STARTING)) {
    thread->countdown = 0;
    return decision;
  }
  if (UNLIKELY(mode == SAMPLER_INERT)) {
    thread->countdown = FOR_EVER;
    return decision;
  }
  uint64_t units = (uint64_t)size_bytes + 1;
  if (UNLIKELY(thread->seeded_in != epoch_number()) && begin_stream(thread)) {
    /* The first allocation of a thread: the countdown should have started with a distance, not with zero. */
    thread->interval = draw(thread, &decision.coins);
    thread->countdown = thread->interval;
    if (thread->interval >= units) {
      thread->countdown -= units;
      return decision;
    }
  }
  /* The distances have no memory: whatever is left of this one, the next starts behind this allocation. */
  INVARIANT(thread->countdown <= thread->interval + SAMPLER_PROBE_UNITS * 16ull);
  uint64_t counted = thread->interval - thread->countdown + units;
  thread->countdown = thread->interval = draw(thread, &decision.coins);
  if (mode == SAMPLER_STOPPED)
    return decision;
  decision.is_sampled = true;
  decision.is_cold = counted >= AHEAD_COLD_UNITS;
  if (decision.is_cold)
    ahead_of_stack();
  decision.units_counted = counted;
  decision.ticks = timing_end_decision(begin);
  return decision;
}

uint64_t sampler_flush(void)
{
  struct thread *thread = &this_thread;
  if (thread->seeded_in == 0 || atomic_load_explicit(&sampler_mode, memory_order_relaxed) != SAMPLER_ON)
    return 0;
  uint64_t counted = thread->interval - thread->countdown;
  thread->interval = thread->countdown;
  return counted;
}

struct sample_weight sampler_weigh(size_t size_bytes)
{
  double weight = 1;
  if (interval_bytes > 1)
    weight = 1 / prng_one_minus_exp(((double)size_bytes + 1) / (double)interval_bytes);
  return (struct sample_weight){.size_bytes = size_bytes, .objects_q16 = (uint64_t)(weight * 65536 + 0.5)};
}

/* Each half has its samples with a probability of h, where (1 - h)^2 = 1 - p. So a sample is in both with h^2 / p,
 * which is w / g^2 for g = 1/h = w + sqrt(w (w - 1)). */
unsigned sampler_choose_halves(struct sample_weight weight, unsigned coins)
{
  if (interval_bytes == 1)
    return HALF_NONE;
  double w = (double)weight.objects_q16 * 0x1p-16, g = w + arch_square_root(w * (w - 1));
  double uniform = ((double)(coins >> 1) + 0.5) / (1 << (SAMPLER_COIN_BITS - 1));
  if (uniform * g * g < w)
    return HALF_BOTH;
  return (coins & 1) != 0 ? HALF_FIRST : HALF_SECOND;
}
