/* SPDX-License-Identifier: MIT */
#include "core/stacks.h"

#include "core/compiler.h"
#include "core/cuts.h"
#include "core/lanes/lanes.h"
#include "core/lanes/own_stacks.h"
#include "core/lanes/spares.h"
#include "core/peak.h"
#include "core/sys.h"

#include <string.h>

/* The index: levels of slots, each level at least four times the one before, and used when the one before has no free
 * slot within reach; from the third on they are mapped then. The first is one page, which is all that most processes
 * need, and half a cache line of it tells the others that their stack is not there. A slot holds the upper half of the
 * stack's hash and the position of its record. */
enum { FIRST_LEVEL_SLOTS = 512, FIRST_REACH = 4, SECOND_LEVEL_SLOTS = 4096, REACH = 16, LEVELS = 9 };

static LARGE _Atomic uint64_t first_level[FIRST_LEVEL_SLOTS];
static LARGE _Atomic uint64_t second_level[SECOND_LEVEL_SLOTS];
static _Atomic(_Atomic uint64_t *) levels[LEVELS] = {first_level, second_level};

static size_t (*usable_size)(void *pointer); /* of the allocator */

static void (*threads_meet)(uint32_t stack);

static _Atomic uint32_t full_stack; /* the stand-in for stacks that found no room */

static size_t level_slots(unsigned level)
{
  return level == 0 ? FIRST_LEVEL_SLOTS : (size_t)SECOND_LEVEL_SLOTS << (2 * (level - 1));
}

static size_t level_reach(unsigned level)
{
  return level == 0 ? FIRST_REACH : REACH;
}

/* The kernel's zeros need no order. */
static _Atomic uint64_t *level_at(unsigned level)
{
  _Atomic uint64_t *slots = atomic_load_explicit(&levels[level], memory_order_relaxed);
  if (LIKELY(slots != NULL))
    return slots;
  size_t size = level_slots(level) * sizeof *slots;
  _Atomic uint64_t *fresh = sys_map_anonymous(size);
  if (fresh == NULL)
    return NULL;
  if (atomic_compare_exchange_strong_explicit(&levels[level], &slots, fresh, memory_order_relaxed,
                                              memory_order_relaxed)) {
    region_add_own(fresh, size);
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
  if (stack->record.constant_words != depth || stack->flags != flags)
    return false;
  for (unsigned i = 0; i < depth; i++) /* libc's memcmp is one more page of code */
    if (stack->pcs[i] != pcs[i])
      return false;
  return true;
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
  enum region_record_type type = (flags & STACK_MAPPED) != 0 ? REGION_RECORD_MAPPED : REGION_RECORD_STACK;
  region_publish(&stack->record, type, stack->pcs, depth, region_hash_words(stack->pcs, depth));
  return granule;
}

/* Made while there is still room, so that it exists when there is none. Who sees it sees its record. */
static uint32_t stand_in(void)
{
  uint32_t granule = atomic_load_explicit(&full_stack, memory_order_acquire);
  if (granule != 0)
    return granule;
  uint32_t fresh = append(NULL, 0, STACK_TABLE_FULL | cut_flags(CUT_no_memory));
  if (fresh != 0 &&
      atomic_compare_exchange_strong_explicit(&full_stack, &granule, fresh, memory_order_release, memory_order_acquire))
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
    size_t mask = level_slots(level) - 1, reach = level_reach(level);
    size_t first = level == 0 ? hash & ~(uint64_t)(FIRST_REACH - 1) : hash;
    for (size_t step = 0; step < reach; step++) {
      _Atomic uint64_t *slot = &slots[(first + step) & mask];
      uint64_t value = atomic_load_explicit(slot, memory_order_acquire);
      if (value == 0) {
        /* The record is whole before the slot shows it, to whoever looks and to whoever comes second with the same:
         * nobody ever waits for another thread's half-made bucket. */
        if (granule == 0 && (granule = append(pcs, depth, flags)) == 0)
          return count_without_room(substitute);
        if (atomic_compare_exchange_strong_explicit(slot, &value, (uint64_t)tag << 32 | granule, memory_order_release,
                                                    memory_order_acquire)) {
          if ((flags & STACK_MAPPED) == 0)
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

void stacks_set_usable_size(size_t (*function)(void *pointer))
{
  usable_size = function;
}

/* A sample stands for about as many bytes as any other, whatever its size, so the mean of their shares is the share of
 * all bytes. `samples` were counted, with this one: a power of 2. */
static void note_rounding(struct stack_record *stack, uint64_t samples, uint64_t size_bytes, const void *pointer)
{
  if (usable_size == NULL || size_bytes == 0)
    return;
  uint64_t usable_bytes = usable_size((void *)(uintptr_t)pointer);
  if (usable_bytes < size_bytes)
    return;
  double share = (double)(usable_bytes - size_bytes) / (double)size_bytes;
  uint32_t before = atomic_load_explicit(&stack->rounding_q16, memory_order_relaxed);
  double mean = before > 0 ? (before - 1) * 0x1p-16 : share;
  mean += (share - mean) / (double)(64 - __builtin_clzll(samples)); /* as many were noted, with this one */
  uint32_t now = mean < 0xffff ? (uint32_t)(mean * 0x1p16 + 0.5) + 1 : UINT32_MAX;
  atomic_store_explicit(&stack->rounding_q16, now, memory_order_relaxed);
}

/* Where large objects lay, which have mappings of their own, and a few of the others. */
enum { LARGE_BYTES = 64 << 10, SOME = 255 };

static COLD void note(uint32_t id, uint64_t samples, struct sample_weight weight, const void *pointer)
{
  if (pointer == NULL || samples == 0)
    return;
  region_note_seen(pointer);
  if ((samples & (samples - 1)) == 0)
    note_rounding(stack_at(id), samples, weight.size_bytes, pointer);
  if (weight.halves == HALF_NONE && (samples & SOME) == 0 && lanes_meet_at(id) && threads_meet != NULL)
    threads_meet(id);
}

void stacks_count_allocation(uint32_t id, struct sample_weight weight, const void *pointer)
{
  struct stack_record *stack = stack_at(id);
  peak_keep_before_allocation(stack, weight);
  tally_count(&stack->allocated, weight);
  peak_count_allocation(stack, weight);
  uint64_t samples = atomic_load_explicit(&stack->allocated.begun, memory_order_relaxed);
  if (UNLIKELY((samples & (samples - 1) & SOME) == 0 || weight.size_bytes >= LARGE_BYTES))
    note(id, samples, weight, pointer);
}

void stacks_when_threads_meet(void (*function)(uint32_t stack))
{
  threads_meet = function;
}

uint32_t stacks_part(uint32_t id)
{
  const struct stack_record *stack = stack_at(id);
  if ((stack->flags & (STACK_OWN | STACK_TABLE_FULL | STACK_INHERITED)) != 0)
    return id;
  _Atomic uint32_t *claimed = own_stacks_claim(id);
  if (claimed == NULL)
    return own_stack_of(id);
  uint32_t own = append(stack->pcs, stack->record.constant_words, stack->flags | STACK_OWN);
  if (own == 0)
    return id;
  own_stacks_set(claimed, own);
  return own;
}

void stacks_count_free(uint32_t id, struct sample_weight weight)
{
  struct stack_record *stack = stack_at(id);
  peak_keep_before_free(stack, weight);
  tally_count(&stack->freed, weight);
  peak_count_free(stack, weight);
  if (UNLIKELY((stack->flags & STACK_INHERITED) != 0))
    atomic_fetch_sub_explicit(&region_header()->inherited_bytes_q4, tally_bytes_q4(weight), memory_order_relaxed);
}

static struct stack_record *next_of_type(uint64_t *position, enum region_record_type type)
{
  struct region_record *record;
  while ((record = region_next(position, type)) != NULL)
    if (record->constant_offset == offsetof(struct stack_record, pcs) &&
        record->size_bytes >= sizeof(struct stack_record))
      break;
  return (struct stack_record *)record;
}

struct stack_record *stacks_next(uint64_t *position)
{
  return next_of_type(position, REGION_RECORD_STACK);
}

struct stack_record *stacks_next_mapped(uint64_t *position)
{
  return next_of_type(position, REGION_RECORD_MAPPED);
}

uint32_t stacks_mapped_flags(uint32_t id)
{
  return stack_at(id)->flags & (STACK_MAPPED | STACK_RESERVED);
}

void stacks_clear(struct stack_record *stack)
{
  memset(&stack->allocated, 0, sizeof stack->allocated);
  memset(&stack->freed, 0, sizeof stack->freed);
  memset(stack->halves, 0, sizeof stack->halves);
}

void stacks_count_mapped(uint32_t id, uint64_t objects, uint64_t bytes)
{
  tally_count_exactly(&stack_at(id)->allocated, objects, bytes);
}

void stacks_count_unmapped(uint32_t id, uint64_t objects, uint64_t bytes)
{
  tally_count_exactly(&stack_at(id)->freed, objects, bytes);
}

uint64_t stacks_samples(void)
{
  uint64_t samples = 0, position = 0;
  const struct stack_record *stack;
  while ((stack = stacks_next(&position)) != NULL)
    samples += atomic_load_explicit(&stack->allocated.begun, memory_order_relaxed);
  return samples;
}

/* In exact mode a stack knows what it was asked for. */
uint64_t stacks_exact_units(void)
{
  const struct region_header *header = region_header();
  uint64_t units = atomic_load_explicit(&header->exact_units, memory_order_relaxed), position = 0;
  const struct stack_record *stack;
  while (header->sample_interval_bytes == 1 && (stack = stacks_next(&position)) != NULL)
    units += (atomic_load_explicit(&stack->allocated.bytes_q4, memory_order_relaxed) >> 4) +
             (atomic_load_explicit(&stack->allocated.objects_q16, memory_order_relaxed) >> 16);
  return units;
}

static NOINLINE uint64_t in_use_bytes_q4(void)
{
  uint64_t bytes_q4 = 0, position = 0;
  const struct stack_record *stack;
  while ((stack = stacks_next(&position)) != NULL)
    bytes_q4 += stacks_read(stack).in_use.bytes_q4;
  return bytes_q4;
}

uint64_t stacks_peak_bytes(void)
{
  struct peak_moments moments = peak_moments(region_header());
  if (moments.is_whole) /* never goes back, and counts what other threads have yet to keep */
    return (moments.peaks[0] + 8) >> 4;
  uint64_t bytes_q4 = 0, in_use_q4 = in_use_bytes_q4(), position = 0;
  const struct stack_record *stack;
  while ((stack = stacks_next(&position)) != NULL)
    bytes_q4 += peak_read_bytes_q4(stack, &moments);
  return ((peak_is_now(&moments, (double)in_use_q4, (double)bytes_q4) ? in_use_q4 : bytes_q4) + 8) >> 4;
}

void stacks_count_inherited(uint32_t id, struct sample_weight weight)
{
  atomic_fetch_add_explicit(&region_header()->inherited_bytes_q4, tally_bytes_q4(weight), memory_order_relaxed);
  stacks_count_allocation(id, weight, NULL);
}

void stacks_inherit(void)
{
  struct stack_record *stack;
  uint64_t position = 0;
  spares_reset();
  while ((stack = stacks_next(&position)) != NULL) {
    stacks_clear(stack);
    if ((stack->flags & STACK_TABLE_FULL) == 0)
      stack->flags |= STACK_INHERITED;
  }
}
