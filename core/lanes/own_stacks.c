/* SPDX-License-Identifier: MIT */
#include "core/lanes/own_stacks.h"

#include "core/lanes/lanes.h"

#include <stdbool.h>
#include <stddef.h>

/* Tests with every order of events make it smaller. */
#ifndef PLACES
#define PLACES 2048
#endif

enum { REACH = PLACES < 16 ? PLACES : 16, LANE_SHIFT = 32 };

/* Nothing is ever taken out. */
struct place {
  _Atomic uint64_t key; /* a lane and 1 above a stack; 0: free */
  _Atomic uint32_t own; /* 0: not yet */
};

static LARGE struct place places[PLACES];

static uint64_t key_of(uint32_t stack)
{
  return (uint64_t)(lane_of_thread() + 1) << LANE_SHIFT | stack;
}

static struct place *place_at(uint64_t key, unsigned step)
{
  return &places[((key * 0x9e3779b97f4a7c15u >> 32) + step) & (PLACES - 1)];
}

/* NULL: there is none, and `free` is where it may be; NULL too: nowhere. */
static struct place *find(uint64_t key, struct place **free)
{
  *free = NULL;
  for (unsigned step = 0; step < REACH; step++) {
    struct place *place = place_at(key, step);
    uint64_t there = atomic_load_explicit(&place->key, memory_order_relaxed);
    if (there == key)
      return place;
    if (there == 0) {
      *free = place;
      return NULL;
    }
  }
  return NULL;
}

uint32_t own_stack_of(uint32_t stack)
{
  struct place *free, *place = find(key_of(stack), &free);
  uint32_t own = place != NULL ? atomic_load_explicit(&place->own, memory_order_acquire) : 0; /* own_stacks_set */
  return own != 0 ? own : stack;
}

/* Who loses a place to another key looks for the next one. */
_Atomic uint32_t *own_stacks_claim(uint32_t stack)
{
  uint64_t key = key_of(stack), none;
  struct place *free;
  do {
    if (find(key, &free) != NULL || free == NULL)
      return NULL;
    none = 0;
  } while (
      !atomic_compare_exchange_strong_explicit(&free->key, &none, key, memory_order_relaxed, memory_order_relaxed));
  return &free->own;
}

/* With all that was done to the record; pairs with own_stack_of. */
void own_stacks_set(_Atomic uint32_t *claimed, uint32_t own)
{
  atomic_store_explicit(claimed, own, memory_order_release);
}

uint32_t own_stacks_shared(uint32_t own)
{
  for (unsigned i = 0; i < PLACES; i++)
    if (atomic_load_explicit(&places[i].own, memory_order_relaxed) == own)
      return (uint32_t)atomic_load_explicit(&places[i].key, memory_order_relaxed);
  return 0;
}

uint32_t own_stacks_next(uint32_t shared, unsigned *position)
{
  while (*position < PLACES) {
    const struct place *place = &places[(*position)++];
    uint32_t own = atomic_load_explicit(&place->own, memory_order_relaxed);
    if (own != 0 && (uint32_t)atomic_load_explicit(&place->key, memory_order_relaxed) == shared)
      return own;
  }
  return 0;
}
