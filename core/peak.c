/* SPDX-License-Identifier: MIT */
#include "core/peak.h"

#include "core/compiler.h"
#include "core/region.h"

/* Totals compare as signed numbers: a handler that longjmps out of realloc can make one negative. */
static uint64_t raise_to(_Atomic uint64_t *peak_bytes_q4, uint64_t total)
{
  uint64_t peak = atomic_load_explicit(peak_bytes_q4, memory_order_acquire);
  while (UNLIKELY((int64_t)total > (int64_t)peak))
    if (atomic_compare_exchange_weak_explicit(peak_bytes_q4, &peak, total, memory_order_acq_rel, memory_order_acquire))
      return total;
  return peak;
}

void peak_count_allocation(uint64_t bytes_q4)
{
  struct region_header *header = region_header();
  uint64_t before = atomic_fetch_add_explicit(&header->in_use_bytes_q4, bytes_q4, memory_order_acq_rel);
  (void)raise_to(&header->peak_bytes_q4, before + bytes_q4);
}

void peak_count_free(uint64_t bytes_q4)
{
  atomic_fetch_sub_explicit(&region_header()->in_use_bytes_q4, bytes_q4, memory_order_acq_rel);
}

/* The peak in force. The total may have passed it a moment ago, in a thread that has yet to move it: what we are about
 * to change would then be missing from the value at the peak. */
static uint64_t peak_now(void)
{
  struct region_header *header = region_header();
  return raise_to(&header->peak_bytes_q4, atomic_load_explicit(&header->in_use_bytes_q4, memory_order_acquire));
}

/* Writes nothing: a forked child that could not adopt asks its parent's region. */
uint64_t peak_bytes(void)
{
  const struct region_header *header = region_header();
  uint64_t total = atomic_load_explicit(&header->in_use_bytes_q4, memory_order_acquire);
  uint64_t peak = atomic_load_explicit(&header->peak_bytes_q4, memory_order_relaxed);
  return (((int64_t)total > (int64_t)peak ? total : peak) + 8) >> 4;
}

static uint64_t peak_of(uint64_t stamp)
{
  return stamp & ~PEAK_IS_WRITTEN;
}

/* The slot to write next: the older one, or the one that nobody is writing. */
static unsigned choose_slot(const uint64_t stamps[PEAK_SLOTS])
{
  bool is_written[PEAK_SLOTS] = {stamps[0] != peak_of(stamps[0]), stamps[1] != peak_of(stamps[1])};
  if (is_written[0] != is_written[1])
    return is_written[0];
  return peak_of(stamps[0]) > peak_of(stamps[1]);
}

/* Each order pairs with the load of that field in read_slot: who sees a new value sees that the slot was claimed, who
 * sees the stamp sees all values. */
static void write_slot(struct peak *slot, uint64_t peak, const struct tally_sums *held)
{
  atomic_store_explicit(&slot->objects_q16, held->objects_q16, memory_order_release);
  atomic_store_explicit(&slot->bytes_q4, held->bytes_q4, memory_order_release);
  atomic_store_explicit(&slot->variance_objects, held->variance_objects, memory_order_release);
  atomic_store_explicit(&slot->variance_bytes, held->variance_bytes, memory_order_release);
  atomic_store_explicit(&slot->stamp, peak, memory_order_release);
}

/* The stamps are read before the sums, and the slot is claimed from what its stamp was then: if the claim succeeds,
 * nobody who saw the new peak has changed the stack since, for they would have claimed that slot first. If it fails,
 * somebody has just kept the value. */
void peak_keep(struct stack_record *stack)
{
  uint64_t peak = peak_now(), stamps[PEAK_SLOTS];
  for (unsigned i = 0; i < PEAK_SLOTS; i++) {
    stamps[i] = atomic_load_explicit(&stack->peaks[i].stamp, memory_order_acquire);
    if (LIKELY(peak_of(stamps[i]) >= peak))
      return;
  }
  const struct stack_sums sums = tally_read(&stack->allocated, &stack->freed);
  unsigned chosen = choose_slot(stamps);
  struct peak *slot = &stack->peaks[chosen];
  if (atomic_compare_exchange_strong_explicit(&slot->stamp, &stamps[chosen], peak | PEAK_IS_WRITTEN,
                                              memory_order_acq_rel, memory_order_relaxed))
    write_slot(slot, peak, &sums.in_use);
}

/* What is in the slot, if it is whole and of that peak. Each order pairs with the store in write_slot. */
static bool read_slot(const struct peak *slot, uint64_t peak, struct tally_sums *held)
{
  if (atomic_load_explicit(&slot->stamp, memory_order_acquire) != peak)
    return false;
  held->samples = 0;
  held->objects_q16 = atomic_load_explicit(&slot->objects_q16, memory_order_acquire);
  held->bytes_q4 = atomic_load_explicit(&slot->bytes_q4, memory_order_acquire);
  held->variance_objects = atomic_load_explicit(&slot->variance_objects, memory_order_acquire);
  held->variance_bytes = atomic_load_explicit(&slot->variance_bytes, memory_order_acquire);
  return atomic_load_explicit(&slot->stamp, memory_order_relaxed) == peak;
}

/* What the stack holds is read first: if nothing is kept after that, nothing had changed before. */
struct tally_sums peak_read(const struct stack_record *stack, uint64_t peak_bytes_q4)
{
  struct tally_sums now = tally_read(&stack->allocated, &stack->freed).in_use, kept;
  now.samples = 0;
  for (unsigned i = 0; i < PEAK_SLOTS; i++)
    if (read_slot(&stack->peaks[i], peak_bytes_q4, &kept))
      return kept;
  return now;
}
