/* SPDX-License-Identifier: MIT */
/* Buckets: one record of the region per distinct stack, with what was allocated and freed there.
 *
 * The records are found through a private, insert-only hash index of growing levels. Buckets are never removed.
 *
 * Threads, signals: lock-free throughout. Memory: the region, and an index that maps at most 128 bytes a stack when
 * it has just grown, and touches them as it fills.
 * Fork: the index is copied on write and stays right, because region_adopt keeps the positions of all records.
 */
#ifndef HEAPPROF_STACKS_H
#define HEAPPROF_STACKS_H

#include "core/compiler.h"
#include "core/region.h"
#include "core/tally.h"

/* The hash of a stack, from its outermost frame inwards: stacks that differ only in their inner frames share a part of
 * it. */
#define STACKS_HASH_START 0xcbf29ce484222325u

static inline uint64_t stacks_hash_add(uint64_t hash, uintptr_t pc)
{
  hash = (hash ^ pc) * 0x9fb21c651e98df25u;
  return hash ^ hash >> 29;
}

/* The bucket of a stack, made if it is new. 0: there is no room even for a stand-in. */
uint32_t stacks_intern(const uintptr_t *pcs, unsigned depth, uint32_t flags);
SAMPLED uint32_t stacks_intern_hashed(uint64_t hash, const uintptr_t *pcs, unsigned depth, uint32_t flags);

/* Is it the stand-in for those that found no room? */
SAMPLED bool stacks_is_stand_in(uint32_t stack);

/* Of the 1st, 2nd, 4th, 8th ... sample, what the allocator made of it is noted, of some more where they lie; unless
 * `pointer` is NULL. */
SAMPLED void stacks_count_allocation(uint32_t stack, struct sample_weight weight, const void *pointer);
SAMPLED void stacks_count_free(uint32_t stack, struct sample_weight weight);

/* In exact mode, from time to time: what to do where threads meet. From the constructor. */
void stacks_when_threads_meet(void (*function)(uint32_t stack));

/* A record of the same frames for the calling thread's lane (core/lanes/lanes.h); the same one where there is no room
 * for that. And the lane's, if it has one. */
uint32_t stacks_part(uint32_t stack);

/* The allocator's malloc_usable_size; NULL: it has none. From the constructor. */
void stacks_set_usable_size(size_t (*function)(void *pointer));

/* For a region that was adopted: sets every tally to zero, and keeps these buckets for what the child has from its
 * parent. What it allocates itself gets buckets of its own, but for the stand-in. One thread. */
void stacks_inherit(void);

/* What was alive, in such a bucket. */
void stacks_count_inherited(uint32_t stack, struct sample_weight weight);

/* Visits every bucket; NULL at the end. Start with *position = 0. */
struct stack_record *stacks_next(uint64_t *position);

/* The same for what was mapped (core/mappings): buckets with STACK_MAPPED among their flags, of which the others know
 * nothing. They have no stand-in: what finds no room may get that of the others, and must not count there. */
struct stack_record *stacks_next_mapped(uint64_t *position);
uint32_t stacks_mapped_flags(uint32_t stack); /* STACK_MAPPED and STACK_RESERVED */
void stacks_clear(struct stack_record *stack);
void stacks_count_mapped(uint32_t stack, uint64_t objects, uint64_t bytes);
void stacks_count_unmapped(uint32_t stack, uint64_t objects, uint64_t bytes);

/* What all stacks held at the peak (core/peak.h). */
uint64_t stacks_peak_bytes(void);

/* How many samples there are in all, and how many units were allocated. */
uint64_t stacks_samples(void);
uint64_t stacks_exact_units(void);

static inline struct stack_sums stacks_read(const struct stack_record *stack)
{
  return tally_read(&stack->allocated, &stack->freed);
}

#endif
