/* SPDX-License-Identifier: MIT */
#include "core/tally.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Orders: every addition releases, every load acquires, and additions go on in one release sequence. So who sees part
 * of a sum sees that its sample had begun; who sees `ended`, the sums of all that had; who sees what was freed, that it
 * had been allocated. On x86 none of them costs anything. */

static void add_double(_Atomic double *sum, double value)
{
  double old = atomic_load_explicit(sum, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(sum, &old, old + value, memory_order_release, memory_order_relaxed))
    ;
}

/* Each order pairs with the load of that field in read_once. docs/sampling.md: a sample of s bytes with p = 1/w adds w
 * objects, s w bytes, and variances w (w - 1) and s^2 w (w - 1). */
static ALWAYS_INLINE void tally_add(struct tally *tally, uint64_t objects_q16, uint64_t bytes_q4, double w, double s)
{
  atomic_fetch_add_explicit(&tally->begun, 1, memory_order_release);
  atomic_fetch_add_explicit(&tally->objects_q16, objects_q16, memory_order_release);
  atomic_fetch_add_explicit(&tally->bytes_q4, bytes_q4, memory_order_release);
  if (w > 1) {
    add_double(&tally->variance_objects, w * (w - 1));
    add_double(&tally->variance_bytes, s * s * w * (w - 1));
  }
  atomic_fetch_add_explicit(&tally->ended, 1, memory_order_release);
}

void tally_count(struct tally *tally, struct sample_weight weight)
{
  double w = (double)weight.objects_q16 * 0x1p-16, s = (double)weight.size_bytes;
  tally_add(tally, weight.objects_q16, tally_bytes_q4(weight), w, s);
}

void tally_count_exactly(struct tally *tally, uint64_t objects, uint64_t bytes)
{
  enum { Q16 = 16, Q4 = 4 };
  tally_add(tally, objects << Q16, bytes << Q4, 1, 0);
}

/* Do the sums agree with each other? As many samples had ended before them as have begun after them. Each order pairs
 * with the addition in tally_count. */
static bool read_once(const struct tally *tally, struct tally_sums *sums)
{
  uint64_t ended = atomic_load_explicit(&tally->ended, memory_order_acquire);
  sums->objects_q16 = atomic_load_explicit(&tally->objects_q16, memory_order_acquire);
  sums->bytes_q4 = atomic_load_explicit(&tally->bytes_q4, memory_order_acquire);
  sums->variance_objects = atomic_load_explicit(&tally->variance_objects, memory_order_acquire);
  sums->variance_bytes = atomic_load_explicit(&tally->variance_bytes, memory_order_acquire);
  sums->samples = atomic_load_explicit(&tally->begun, memory_order_acquire);
  return sums->samples == ended;
}

/* The latest sums, and ones that agree if a few tries find a moment without a writer. */
static void read_one(const struct tally *tally, struct tally_sums *sums)
{
  enum { ATTEMPTS = 4 };
  for (int attempt = 0; attempt < ATTEMPTS; attempt++)
    if (read_once(tally, sums))
      break;
}

/* Both only grow, and begin anew at 2^64: 2^48 objects of one stack. What is in use is far less, so a difference in the
 * upper half is one below 0. */
static uint64_t difference(uint64_t from, uint64_t take)
{
  uint64_t between = from - take;
  return between <= INT64_MAX ? between : 0;
}

static double variance(double from, double take)
{
  return from > take ? from - take : 0;
}

void tally_read_both(const struct tally *allocated, const struct tally *freed, struct tally_sums *all,
                     struct tally_sums *left)
{
  /* Frees first: what is freed later was allocated before it, so the difference is never negative. */
  read_one(freed, left);
  read_one(allocated, all);
  left->samples = difference(all->samples, left->samples);
  left->objects_q16 = difference(all->objects_q16, left->objects_q16);
  left->bytes_q4 = difference(all->bytes_q4, left->bytes_q4);
  /* With nothing in use, only rounding errors are left. */
  left->variance_objects = left->samples > 0 ? variance(all->variance_objects, left->variance_objects) : 0;
  left->variance_bytes = left->samples > 0 ? variance(all->variance_bytes, left->variance_bytes) : 0;
}

struct stack_sums tally_read(const struct tally *allocated, const struct tally *freed)
{
  struct stack_sums sums;
  tally_read_both(allocated, freed, &sums.allocated, &sums.in_use);
  return sums;
}
