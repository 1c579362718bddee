/* SPDX-License-Identifier: MIT */
#include "core/peak.h"

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/lanes/lanes.h"
#include "core/lanes/spares.h"
#include "core/region.h"

/* Totals. */

static uint64_t peak_of(uint64_t word)
{
  return word & ~(PEAK_IS_WRITTEN | PEAK_IS_OVER);
}

/* Totals compare as signed numbers: a handler that longjmps out of realloc can make one negative. */
static uint64_t raise_to(_Atomic uint64_t *peak_bytes_q4, uint64_t total)
{
  uint64_t peak = atomic_load_explicit(peak_bytes_q4, memory_order_acquire);
  while (UNLIKELY((int64_t)total > (int64_t)peak_of(peak)))
    if (atomic_compare_exchange_weak_explicit(peak_bytes_q4, &peak, peak_of(total), memory_order_acq_rel,
                                              memory_order_acquire))
      return peak_of(total);
  return peak;
}

/* What is in use where lanes have something to spare. Above the peak nobody adds to that, so the same twice is what
 * there was in between. */
static uint64_t total_without_spares(const struct half_total *half)
{
  enum { ATTEMPTS = 8 };
  uint64_t total = 0, spared = spares_of_all(), before;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    before = spared;
    total = atomic_load_explicit(&half->in_use_bytes_q4, memory_order_acquire);
    spared = spares_of_all();
    if (spared == before)
      break;
  }
  return total - spared;
}

static COLD uint64_t raise_late(struct half_total *half, uint64_t total)
{
  return raise_to(&half->peak_bytes_q4, lanes_have_met() ? total_without_spares(half) : total);
}

/* The peak in force. The total may have passed it a moment ago, in a thread that has yet to move it: what we are about
 * to change would then be missing from the value at the peak. */
static uint64_t peak_now(struct half_total *half)
{
  uint64_t total = atomic_load_explicit(&half->in_use_bytes_q4, memory_order_acquire),
           peak = atomic_load_explicit(&half->peak_bytes_q4, memory_order_acquire);
  return LIKELY((int64_t)total <= (int64_t)peak_of(peak)) ? peak : raise_late(half, total);
}

static void end_peak(struct half_total *half)
{
  uint64_t peak = peak_now(half);
  while (UNLIKELY((peak & PEAK_IS_OVER) == 0))
    if (atomic_compare_exchange_weak_explicit(&half->peak_bytes_q4, &peak, peak | PEAK_IS_OVER, memory_order_acq_rel,
                                              memory_order_acquire))
      return;
}

/* Since the mark, of all samples. In no region: only the process itself asks. */
static struct {
  _Alignas(
      LANE_LINE_BYTES) _Atomic uint64_t bytes_q4; /* on a line that is hardly ever written, once the peak is over */
} since_mark;

static uint64_t whole_total(void)
{
  return total_without_spares(&region_header()->halves[0]);
}

/* What is allocated before the first line may still raise the old one, and after it finds the new one. */
void peak_set_mark(void)
{
  atomic_store_explicit(&since_mark.bytes_q4, 0, memory_order_relaxed);
  (void)raise_to(&since_mark.bytes_q4, whole_total());
}

uint64_t peak_since_mark_bytes(void)
{
  return raise_to(&since_mark.bytes_q4, whole_total()) >> 4;
}

/* Slots. */

/* The slot to write next: the older one, or the one that nobody is writing. */
static unsigned choose_slot(const uint64_t stamps[PEAK_SLOTS])
{
  bool is_written[PEAK_SLOTS] = {(stamps[0] & PEAK_IS_WRITTEN) != 0, (stamps[1] & PEAK_IS_WRITTEN) != 0};
  if (is_written[0] != is_written[1])
    return is_written[0];
  return peak_of(stamps[0]) > peak_of(stamps[1]);
}

/* Each order pairs with the load of that field in read_slot: who sees a new value sees that the slot was claimed, who
 * sees the stamp sees all values. */
static void write_slot(struct peak *slot, uint64_t stamp, const struct tally_sums *held)
{
  atomic_store_explicit(&slot->objects_q16, held->objects_q16, memory_order_release);
  atomic_store_explicit(&slot->bytes_q4, held->bytes_q4, memory_order_release);
  atomic_store_explicit(&slot->variance_bytes, held->variance_bytes, memory_order_release);
  atomic_store_explicit(&slot->stamp, stamp, memory_order_release);
}

/* What is in the slot, if it is whole and of that peak. Each order pairs with the store in write_slot. */
static bool read_slot(const struct peak *slot, uint64_t stamp, struct tally_sums *held)
{
  if (atomic_load_explicit(&slot->stamp, memory_order_acquire) != stamp)
    return false;
  held->objects_q16 = atomic_load_explicit(&slot->objects_q16, memory_order_acquire);
  held->bytes_q4 = atomic_load_explicit(&slot->bytes_q4, memory_order_acquire);
  held->variance_bytes = atomic_load_explicit(&slot->variance_bytes, memory_order_acquire);
  return atomic_load_explicit(&slot->stamp, memory_order_relaxed) == stamp;
}

/* Sums. */

/* Objects are not counted by halves: they are in the proportion of the bytes. A half has no more than the whole, but
 * in a file that somebody made up. */
static void take_half(const struct stack_half *half, struct tally_sums *sums)
{
  int64_t bytes_q4 = (int64_t)atomic_load_explicit(&half->bytes_q4, memory_order_acquire);
  double variance = atomic_load_explicit(&half->variance_bytes, memory_order_acquire);
  double share = bytes_q4 > 0 && sums->bytes_q4 > 0 ? (double)bytes_q4 / (double)sums->bytes_q4 : 0;
  if (share < 1)
    sums->objects_q16 = (uint64_t)((double)sums->objects_q16 * share);
  sums->bytes_q4 = bytes_q4 > 0 ? (uint64_t)bytes_q4 : 0;
  sums->variance_bytes = bytes_q4 > 0 && variance > 0 ? variance : 0; /* with no bytes, rounding errors are left */
}

/* What the stack holds now. */
static NOINLINE void read_now(const struct stack_record *stack, unsigned which, bool is_whole, struct tally_sums *sums)
{
  struct tally_sums allocated;
  tally_read_both(&stack->allocated, &stack->freed, &allocated, sums);
  sums->samples = 0;
  if (!is_whole)
    take_half(&stack->halves[which], sums);
}

/* The stamps are read before the sums, and the slot is claimed from what its stamp was then: if the claim succeeds,
 * nobody who saw the new peak has changed the stack since, for they would have claimed that slot first. If it fails,
 * somebody has just kept the value. */
static NOINLINE void keep(struct stack_record *stack, unsigned which, uint64_t peak, bool is_whole)
{
  struct peak *slots = stack->halves[which].peaks;
  struct tally_sums sums;
  uint64_t stamps[PEAK_SLOTS];
  for (unsigned i = 0; i < PEAK_SLOTS; i++) {
    stamps[i] = atomic_load_explicit(&slots[i].stamp, memory_order_acquire);
    if ((stamps[i] & ~PEAK_IS_WRITTEN) >= peak)
      return;
  }
  read_now(stack, which, is_whole, &sums);
  unsigned chosen = choose_slot(stamps);
  if (atomic_compare_exchange_strong_explicit(&slots[chosen].stamp, &stamps[chosen], peak | PEAK_IS_WRITTEN,
                                              memory_order_acq_rel, memory_order_relaxed))
    write_slot(&slots[chosen], peak, &sums);
}

static ALWAYS_INLINE bool is_kept(const struct stack_half *half, uint64_t peak)
{
  return (atomic_load_explicit(&half->peaks[0].stamp, memory_order_relaxed) & ~PEAK_IS_WRITTEN) >= peak ||
         (atomic_load_explicit(&half->peaks[1].stamp, memory_order_relaxed) & ~PEAK_IS_WRITTEN) >= peak;
}

static ALWAYS_INLINE void keep_if_over(struct stack_record *stack, unsigned which, unsigned chooser, bool is_whole)
{
  uint64_t peak = peak_now(&region_header()->halves[chooser]);
  if ((peak & PEAK_IS_OVER) != 0 && UNLIKELY(!is_kept(&stack->halves[which], peak)))
    keep(stack, which, peak, is_whole);
}

static SAMPLED NOINLINE void keep_halves(struct stack_record *stack, unsigned halves)
{
  for (unsigned half = 0; half < HALVES; half++)
    if ((halves >> half & 1) != 0)
      keep_if_over(stack, half, 1 - half, false);
}

void peak_keep_before_allocation(struct stack_record *stack, struct sample_weight weight)
{
  if (weight.halves == HALF_NONE)
    keep_if_over(stack, 0, 0, true);
  else
    keep_halves(stack, weight.halves);
}

void peak_keep_before_free(struct stack_record *stack, struct sample_weight weight)
{
  struct region_header *header = region_header();
  end_peak(&header->halves[0]);
  if (weight.halves == HALF_NONE) {
    keep_if_over(stack, 0, 0, true);
    return;
  }
  end_peak(&header->halves[1]);
  keep_halves(stack, weight.halves);
}

/* What a sample of a half stands for, halved: g = 1/h (sampler_choose_halves). */
struct share {
  uint64_t bytes_q4;
  double variance_bytes;
};

static SAMPLED struct share share_of(struct sample_weight weight)
{
  double w = (double)weight.objects_q16 * 0x1p-16, s = (double)weight.size_bytes;
  double g = (w + arch_square_root(w * (w - 1))) / 2;
  return (struct share){.bytes_q4 = (uint64_t)(s * g * 16 + 0.5), .variance_bytes = s * s * g * (g - 0.5)};
}

static void add_variance(struct stack_half *half, double variance)
{
  double old = atomic_load_explicit(&half->variance_bytes, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(&half->variance_bytes, &old, old + variance, memory_order_release,
                                                memory_order_relaxed))
    ;
}

static uint64_t add_to_total(struct half_total *half, uint64_t bytes_q4)
{
  return bytes_q4 + atomic_fetch_add_explicit(&half->in_use_bytes_q4, bytes_q4, memory_order_acq_rel);
}

/* Returns the total. */
static uint64_t raise_total(struct half_total *half, uint64_t bytes_q4)
{
  uint64_t total = add_to_total(half, bytes_q4);
  (void)raise_to(&half->peak_bytes_q4, total);
  return total;
}

static void lower_total(struct half_total *half, uint64_t bytes_q4)
{
  atomic_fetch_sub_explicit(&half->in_use_bytes_q4, bytes_q4, memory_order_acq_rel);
}

static void add_share(struct stack_record *stack, unsigned which, struct share share)
{
  struct stack_half *half = &stack->halves[which];
  atomic_fetch_add_explicit(&half->bytes_q4, share.bytes_q4, memory_order_release);
  if (share.variance_bytes > 0)
    add_variance(half, share.variance_bytes);
  (void)raise_total(&region_header()->halves[which], share.bytes_q4);
}

static void take_share(struct stack_record *stack, unsigned which, struct share share)
{
  struct stack_half *half = &stack->halves[which];
  atomic_fetch_sub_explicit(&half->bytes_q4, share.bytes_q4, memory_order_release);
  if (share.variance_bytes > 0)
    add_variance(half, -share.variance_bytes);
  lower_total(&region_header()->halves[which], share.bytes_q4);
}

static SAMPLED NOINLINE void add_shares(struct stack_record *stack, struct sample_weight weight)
{
  struct share share = share_of(weight);
  for (unsigned half = 0; half < HALVES; half++)
    if ((weight.halves >> half & 1) != 0)
      add_share(stack, half, share);
}

static SAMPLED NOINLINE void take_shares(struct stack_record *stack, struct sample_weight weight)
{
  struct share share = share_of(weight);
  for (unsigned half = 0; half < HALVES; half++)
    if ((weight.halves >> half & 1) != 0)
      take_share(stack, half, share);
}

/* With an interval of 1. As long as the total, with all that lanes have to spare, is no higher than the peak, nobody
 * has to know what is in use, and who frees leaves the total as it is. Above it, each gives back what it has. */

static ALWAYS_INLINE bool is_above_peak(const struct half_total *half, uint64_t total)
{
  uint64_t peak = atomic_load_explicit(&half->peak_bytes_q4, memory_order_relaxed),
           mark = atomic_load_explicit(&since_mark.bytes_q4, memory_order_relaxed);
  return (int64_t)total > (int64_t)peak_of(peak) || (int64_t)total > (int64_t)mark;
}

static SAMPLED_EXACT NOINLINE void add_in_lane(struct half_total *half, uint64_t bytes_q4)
{
  uint64_t rest = bytes_q4 - spare_take(bytes_q4);
  uint64_t total =
      rest > 0 ? add_to_total(half, rest) : atomic_load_explicit(&half->in_use_bytes_q4, memory_order_relaxed);
  if (LIKELY(!is_above_peak(half, total)))
    return;
  total = total_without_spares(half);
  (void)raise_to(&half->peak_bytes_q4, total);
  (void)raise_to(&since_mark.bytes_q4, total);
}

/* The total first: who adds up between the two steps finds too little in use, and makes no peak of it. */
static void give_back(struct half_total *half, uint64_t bytes_q4)
{
  uint64_t spare = spare_add(0);
  lower_total(half, bytes_q4 + spare);
  if (spare != 0)
    (void)spare_add(-spare);
}

static SAMPLED_EXACT NOINLINE void take_in_lane(struct half_total *half, uint64_t bytes_q4)
{
  enum { SPARE_MAX_Q4 = 16 << 10 << 4 };
  uint64_t total = atomic_load_explicit(&half->in_use_bytes_q4, memory_order_relaxed);
  if (UNLIKELY(bytes_q4 > SPARE_MAX_Q4 || is_above_peak(half, total)))
    give_back(half, bytes_q4);
  else if (UNLIKELY((int64_t)spare_add(bytes_q4) > SPARE_MAX_Q4))
    give_back(half, 0);
}

static ALWAYS_INLINE void add_whole(uint64_t bytes_q4)
{
  struct half_total *half = &region_header()->halves[0];
  if (lanes_have_met())
    add_in_lane(half, bytes_q4);
  else
    (void)raise_to(&since_mark.bytes_q4, raise_total(half, bytes_q4));
}

static ALWAYS_INLINE void take_whole(uint64_t bytes_q4)
{
  struct half_total *half = &region_header()->halves[0];
  if (lanes_have_met())
    take_in_lane(half, bytes_q4);
  else
    lower_total(half, bytes_q4);
}

void peak_count_allocation(struct stack_record *stack, struct sample_weight weight)
{
  if (weight.halves == HALF_NONE)
    add_whole(tally_bytes_q4(weight));
  else
    add_shares(stack, weight);
}

void peak_count_free(struct stack_record *stack, struct sample_weight weight)
{
  if (weight.halves == HALF_NONE)
    take_whole(tally_bytes_q4(weight));
  else
    take_shares(stack, weight);
}

/* Reading. */

/* Not further below the highest value than two samples of small objects, which are an interval each, as sums are
 * halved: of objects that live for a moment, there are hardly ever more at a time (docs/sampling.md, 9). */
static bool is_near(const struct half_total *half, uint64_t interval_bytes)
{
  enum { INTERVAL_Q4 = 16, NEAR_INTERVALS_Q1 = 5 };
  uint64_t missing_q4 = peak_of(atomic_load_explicit(&half->peak_bytes_q4, memory_order_relaxed)) -
                        atomic_load_explicit(&half->in_use_bytes_q4, memory_order_relaxed);
  return (int64_t)missing_q4 <= (int64_t)(interval_bytes * INTERVAL_Q4 * NEAR_INTERVALS_Q1 / 2);
}

struct peak_moments peak_moments(const struct region_header *header)
{
  struct peak_moments moments = {.is_whole = header->sample_interval_bytes == 1};
  for (unsigned half = 0; half < HALVES; half++)
    moments.peaks[half] = peak_of(atomic_load_explicit(&header->halves[half].peak_bytes_q4, memory_order_acquire));
  moments.is_near = !moments.is_whole && is_near(&header->halves[0], header->sample_interval_bytes) &&
                    is_near(&header->halves[1], header->sample_interval_bytes);
  return moments;
}

/* What the stack holds is read first: if nothing is kept after that, nothing had changed before. False: nothing is. */
static bool read_half(const struct stack_record *stack, unsigned which, uint64_t peak, bool is_whole,
                      struct tally_sums *sums)
{
  struct tally_sums kept;
  bool is_kept = false;
  read_now(stack, which, is_whole, sums);
  for (unsigned i = 0; i < PEAK_SLOTS; i++)
    if (read_slot(&stack->halves[which].peaks[i], peak | PEAK_IS_OVER, &kept)) {
      kept.samples = 0;
      kept.variance_objects = 0;
      *sums = kept;
      is_kept = true;
    }
  return is_kept;
}

void peak_read_half(const struct stack_record *stack, unsigned half, const struct peak_moments *moments,
                    struct tally_sums *now, struct tally_sums *then)
{
  unsigned which = moments->is_whole ? 0 : half;
  read_now(stack, which, moments->is_whole, now);
  (void)read_half(stack, which, moments->peaks[moments->is_whole ? 0 : 1 - which], moments->is_whole, then);
}

uint64_t peak_read_bytes_q4(const struct stack_record *stack, const struct peak_moments *moments)
{
  struct tally_sums sums;
  read_now(stack, 0, true, &sums);
  uint64_t now = sums.bytes_q4;
  bool is_kept = read_half(stack, 0, moments->peaks[moments->is_whole ? 0 : 1], moments->is_whole, &sums);
  uint64_t first = sums.bytes_q4;
  if (moments->is_whole)
    return first;
  is_kept |= read_half(stack, 1, moments->peaks[0], false, &sums);
  return is_kept ? first + sums.bytes_q4 : now;
}

/* The two moments are the same, or near each other, more often than chance would have it, and each is uncertain by a
 * sample or so: intervals without that hold 92 to 95 % of the time (docs/sampling.md, 9). */
#define MOMENT_VARIANCE 1.15

static struct tally_sums sum_of_halves(const struct tally_sums *first, const struct tally_sums *second)
{
  struct tally_sums sums = {.objects_q16 = first->objects_q16 + second->objects_q16,
                            .bytes_q4 = first->bytes_q4 + second->bytes_q4};
  double objects_a_byte = sums.bytes_q4 > 0 ? (double)sums.objects_q16 / 4096 / (double)sums.bytes_q4 : 0;
  sums.variance_bytes = MOMENT_VARIANCE * (first->variance_bytes + second->variance_bytes);
  sums.variance_objects = sums.variance_bytes * objects_a_byte * objects_a_byte;
  return sums;
}

/* A stack that has not changed since both moments holds what it held: all of its samples tell it. */
struct tally_sums peak_read(const struct stack_record *stack, const struct peak_moments *moments)
{
  struct tally_sums now, first, second;
  read_now(stack, 0, true, &now);
  bool is_kept = read_half(stack, 0, moments->peaks[moments->is_whole ? 0 : 1], moments->is_whole, &first);
  if (moments->is_whole)
    return first;
  is_kept |= read_half(stack, 1, moments->peaks[0], false, &second);
  return is_kept ? sum_of_halves(&first, &second) : now;
}
