/* SPDX-License-Identifier: MIT */
#include "core/live/live_directory.h"

#include "core/live/table_memory.h"

/* Tests with every order of events make them smaller. */
#ifndef AREAS_LOG2
#define AREAS_LOG2 12
#define AREA_SHIFT 28
#define PART_SHIFT 24
#endif

enum {
  AREAS = 1 << AREAS_LOG2,
  REACH = AREAS < 16 ? AREAS : 16,
  AREA_BLOCKS = 1 << (AREA_SHIFT - LIVE_BLOCK_SHIFT),
  PARTS = 1 << (AREA_SHIFT - PART_SHIFT),
  PART_BLOCKS = AREA_BLOCKS / PARTS
};

/* One that has a number gets its blocks from whoever needs them first. */
struct area {
  _Atomic uint64_t number; /* and 1; 0: free */
  _Atomic(live_block *) blocks;
  _Atomic uint8_t has_block[PARTS];
};

static LARGE struct area areas[AREAS];

static uint64_t number_of(const void *pointer)
{
  return ((uint64_t)(uintptr_t)pointer >> AREA_SHIFT) + 1;
}

static unsigned part_of(const void *pointer)
{
  return (unsigned)((uintptr_t)pointer >> PART_SHIFT & (PARTS - 1));
}

static live_block *block_in(live_block *blocks, const void *pointer)
{
  return &blocks[(uintptr_t)pointer >> LIVE_BLOCK_SHIFT & (AREA_BLOCKS - 1)];
}

static ALWAYS_INLINE struct area *area_at(uint64_t number, unsigned step)
{
  return &areas[((number * 0x9e3779b97f4a7c15u >> 32) + step) & (AREAS - 1)];
}

/* NULL: it has none. */
static ALWAYS_INLINE struct area *area_find(uint64_t number)
{
  for (unsigned step = 0; step < REACH; step++) {
    struct area *area = area_at(number, step);
    uint64_t there = atomic_load_explicit(&area->number, memory_order_relaxed);
    if (LIKELY(there == number))
      return area;
    if (there == 0)
      return NULL;
  }
  return NULL;
}

static COLD struct area *area_make(uint64_t number)
{
  for (unsigned step = 0; step < REACH; step++) {
    struct area *area = area_at(number, step);
    uint64_t there = 0;
    if (atomic_compare_exchange_strong_explicit(&area->number, &there, number, memory_order_relaxed,
                                                memory_order_relaxed) ||
        there == number)
      return area;
  }
  return NULL;
}

static COLD live_block *blocks_make(struct area *area)
{
  enum { BYTES = AREA_BLOCKS * sizeof(live_block) };
  live_block *fresh = table_memory_get(BYTES);
  if (fresh != NULL)
    TABLE_MEMORY_PUT(&area->blocks, fresh, BYTES);
  return atomic_load_explicit(&area->blocks, memory_order_relaxed);
}

live_block *live_directory_find(const void *pointer)
{
  const struct area *area = area_find(number_of(pointer));
  live_block *blocks = LIKELY(area != NULL) ? atomic_load_explicit(&area->blocks, memory_order_relaxed) : NULL;
  return LIKELY(blocks != NULL) ? block_in(blocks, pointer) : NULL;
}

live_block *live_directory_make(const void *pointer)
{
  struct area *area = area_make(number_of(pointer));
  live_block *blocks = area != NULL ? atomic_load_explicit(&area->blocks, memory_order_relaxed) : NULL;
  if (area != NULL && blocks == NULL)
    blocks = blocks_make(area);
  return blocks != NULL ? block_in(blocks, pointer) : NULL;
}

void live_directory_note(const void *pointer)
{
  struct area *area = area_find(number_of(pointer));
  INVARIANT(area != NULL);
  atomic_store_explicit(&area->has_block[part_of(pointer)], 1, memory_order_relaxed);
}

static void part_each(live_block *blocks, void (*visit)(live_block *block, void *argument), void *argument)
{
  for (unsigned i = 0; i < PART_BLOCKS; i++)
    if (atomic_load_explicit(&blocks[i], memory_order_relaxed) != 0)
      visit(&blocks[i], argument);
}

void live_directory_each(void (*visit)(live_block *block, void *argument), void *argument)
{
  for (unsigned i = 0; i < AREAS; i++) {
    live_block *blocks = atomic_load_explicit(&areas[i].blocks, memory_order_relaxed);
    for (unsigned part = 0; blocks != NULL && part < PARTS; part++)
      if (atomic_load_explicit(&areas[i].has_block[part], memory_order_relaxed) != 0)
        part_each(blocks + part * PART_BLOCKS, visit, argument);
  }
}
