/* SPDX-License-Identifier: MIT */
#include "core/stacks.h"

#include "core/compiler.h"
#include "core/peak.h"
#include "core/sys.h"

#include <string.h>

/* The index: levels of slots, each level four times the one before, mapped when the one before has no free slot within reach.
 * A slot holds the upper half of the stack's hash and the position of its record. */
enum { FIRST_LEVEL_SLOTS = 4096, LEVELS = 8, REACH = 16 };

static _Atomic uint64_t first_level[FIRST_LEVEL_SLOTS];
static _Atomic(_Atomic uint64_t *) levels[LEVELS] = {first_level};

static _Atomic uint32_t full_stack; /* the stand-in for stacks that found no room */

static size_t level_slots(unsigned level)
{
  return (size_t)FIRST_LEVEL_SLOTS << (2 * level);
}

static _Atomic uint64_t *level_at(unsigned level)
{
  _Atomic uint64_t *slots = atomic_load_explicit(&levels[level], memory_order_acquire);
  if (LIKELY(slots != NULL))
    return slots;
  size_t size = level_slots(level) * sizeof *slots;
  _Atomic uint64_t *fresh = sys_map_anonymous(size);
  if (fresh == NULL)
    return NULL;
  if (atomic_compare_exchange_strong(&levels[level], &slots, fresh)) {
    region_add_own_bytes(size);
    return fresh;
  }
  sys_munmap(fresh, size);
  return slots;
}

static struct stack_record *stack_at(uint32_t granule)
{
  INVARIANT(granule >= REGION_HEADER_BYTES / REGION_GRANULE_BYTES);
  return (struct stack_record *)region_at(granule);
}

static bool is_same_stack(uint32_t granule, const uintptr_t *pcs, unsigned depth, uint32_t flags)
{
  const struct stack_record *stack = stack_at(granule);
  return stack->record.constant_words == depth && stack->flags == flags &&
         memcmp(stack->pcs, pcs, depth * sizeof *pcs) == 0;
}

static uint32_t append(const uintptr_t *pcs, unsigned depth, uint32_t flags)
{
  size_t size = sizeof(struct stack_record) + depth * sizeof *pcs;
  uint32_t granule;
  struct stack_record *stack = (struct stack_record *)region_reserve(
      (size + REGION_GRANULE_BYTES - 1) & ~(size_t)(REGION_GRANULE_BYTES - 1), &granule);
  if (stack == NULL)
    return 0;
  stack->flags = flags;
  if (depth > 0)
    memcpy(stack->pcs, pcs, depth * sizeof *pcs);
  region_publish(&stack->record, REGION_RECORD_STACK, stack->pcs, depth, region_hash_words(stack->pcs, depth));
  return granule;
}

/* Made while there is still room, so that it exists when there is none. */
static uint32_t stand_in(void)
{
  uint32_t granule = atomic_load(&full_stack);
  if (granule != 0)
    return granule;
  uint32_t fresh = append(NULL, 0, STACK_TABLE_FULL | STACK_TRUNCATED);
  if (fresh != 0 && atomic_compare_exchange_strong(&full_stack, &granule, fresh))
    return fresh;
  return granule;
}

bool stacks_is_stand_in(uint32_t stack)
{
  return stack == atomic_load_explicit(&full_stack, memory_order_relaxed);
}

static uint32_t count_without_room(uint32_t substitute)
{
  region_lose(LOSS_stack_table);
  return substitute;
}

uint32_t stacks_intern(const uintptr_t *pcs, unsigned depth, uint32_t flags)
{
  uint64_t hash = STACKS_HASH_START;
  for (unsigned i = depth; i-- > 0;)
    hash = stacks_hash_add(hash, pcs[i]);
  return stacks_intern_hashed(hash, pcs, depth, flags);
}

uint32_t stacks_intern_hashed(uint64_t hash, const uintptr_t *pcs, unsigned depth, uint32_t flags)
{
  uint32_t tag = (uint32_t)(hash >> 32), granule = 0, substitute = stand_in();
  for (unsigned level = 0; level < LEVELS; level++) {
    _Atomic uint64_t *slots = level_at(level);
    if (slots == NULL)
      break;
    size_t mask = level_slots(level) - 1;
    for (size_t step = 0; step < REACH; step++) {
      _Atomic uint64_t *slot = &slots[(hash + step) & mask];
      uint64_t value = atomic_load_explicit(slot, memory_order_acquire);
      if (value == 0) {
        /* The record is whole before the slot shows it: nobody ever waits for another thread's half-made bucket. */
        if (granule == 0 && (granule = append(pcs, depth, flags)) == 0)
          return count_without_room(substitute);
        if (atomic_compare_exchange_strong(slot, &value, (uint64_t)tag << 32 | granule)) {
          atomic_fetch_add_explicit(&region_header()->stacks, 1, memory_order_relaxed);
          return granule;
        }
      }
      if ((uint32_t)(value >> 32) == tag && is_same_stack((uint32_t)value, pcs, depth, flags))
        return (uint32_t)value; /* a record appended in vain keeps its zeros and is left out of profiles */
    }
  }
  return granule != 0 ? granule : count_without_room(substitute);
}

static void add_double(_Atomic double *sum, double value)
{
  double old = atomic_load_explicit(sum, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(sum, &old, old + value, memory_order_relaxed, memory_order_relaxed))
    ;
}

static uint64_t bytes_q4_of(struct sample_weight weight)
{
  return (uint64_t)((double)weight.size_bytes * ((double)weight.objects_q16 * 0x1p-16) * 16 + 0.5);
}

/* docs/sampling.md: a sample of s bytes with p = 1/w adds w objects, s w bytes, and variances w (w - 1) and s^2 w (w - 1). */
static void count(struct tally *tally, struct sample_weight weight)
{
  double w = (double)weight.objects_q16 * 0x1p-16, s = (double)weight.size_bytes;
  atomic_fetch_add_explicit(&tally->begun, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&tally->objects_q16, weight.objects_q16, memory_order_relaxed);
  atomic_fetch_add_explicit(&tally->bytes_q4, bytes_q4_of(weight), memory_order_relaxed);
  if (w > 1) {
    add_double(&tally->variance_objects, w * (w - 1));
    add_double(&tally->variance_bytes, s * s * w * (w - 1));
  }
  atomic_fetch_add_explicit(&tally->ended, 1, memory_order_release);
}

void stacks_count_allocation(uint32_t id, struct sample_weight weight)
{
  struct stack_record *stack = stack_at(id);
  peak_keep(stack);
  count(&stack->allocated, weight);
  peak_count_allocation(bytes_q4_of(weight));
}

void stacks_count_free(uint32_t id, struct sample_weight weight)
{
  struct stack_record *stack = stack_at(id);
  peak_keep(stack);
  count(&stack->freed, weight);
  peak_count_free(bytes_q4_of(weight));
}

struct stack_record *stacks_next(uint64_t *position)
{
  struct region_record *record;
  while ((record = region_next(position, REGION_RECORD_STACK)) != NULL)
    if (record->constant_offset == offsetof(struct stack_record, pcs) &&
        record->size_bytes >= sizeof(struct stack_record))
      break;
  return (struct stack_record *)record;
}

void stacks_clear(void)
{
  struct stack_record *stack;
  uint64_t position = 0;
  while ((stack = stacks_next(&position)) != NULL) {
    memset(&stack->allocated, 0, sizeof stack->allocated);
    memset(&stack->freed, 0, sizeof stack->freed);
    memset(stack->peaks, 0, sizeof stack->peaks);
  }
}

/* Sums that agree with each other, if a few tries find a moment without a writer; else the latest ones. */
static struct tally_sums read_tally(const struct tally *tally)
{
  struct tally_sums sums;
  for (int attempt = 0; attempt < 4; attempt++) {
    uint64_t ended = atomic_load_explicit(&tally->ended, memory_order_acquire);
    sums.objects_q16 = atomic_load_explicit(&tally->objects_q16, memory_order_relaxed);
    sums.bytes_q4 = atomic_load_explicit(&tally->bytes_q4, memory_order_relaxed);
    sums.variance_objects = atomic_load_explicit(&tally->variance_objects, memory_order_relaxed);
    sums.variance_bytes = atomic_load_explicit(&tally->variance_bytes, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    sums.samples = atomic_load_explicit(&tally->begun, memory_order_relaxed);
    if (sums.samples == ended)
      break;
  }
  return sums;
}

static uint64_t difference(uint64_t from, uint64_t take)
{
  return from > take ? from - take : 0;
}

struct stack_sums stacks_read(const struct stack_record *stack)
{
  /* Frees first: what is freed later was allocated before it, so the difference is never negative. */
  struct tally_sums freed = read_tally(&stack->freed);
  struct stack_sums sums = {.allocated = read_tally(&stack->allocated)};
  sums.in_use.samples = difference(sums.allocated.samples, freed.samples);
  sums.in_use.objects_q16 = difference(sums.allocated.objects_q16, freed.objects_q16);
  sums.in_use.bytes_q4 = difference(sums.allocated.bytes_q4, freed.bytes_q4);
  if (sums.in_use.samples > 0) { /* else what is left are rounding errors */
    double objects = sums.allocated.variance_objects - freed.variance_objects;
    double bytes = sums.allocated.variance_bytes - freed.variance_bytes;
    sums.in_use.variance_objects = objects > 0 ? objects : 0;
    sums.in_use.variance_bytes = bytes > 0 ? bytes : 0;
  }
  return sums;
}
