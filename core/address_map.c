/* SPDX-License-Identifier: MIT */
#include "core/address_map.h"

#include "core/sys.h"

struct place {
  _Atomic uint64_t low, high;
};

struct address_map {
  _Atomic unsigned loaded_count, past_count;
  struct place past_span;
  struct place loaded[ADDRESS_MAP_MAX];
  _Atomic uint64_t shifts[ADDRESS_MAP_MAX];
  struct place past[ADDRESS_MAP_MAX];
};

static struct address_map *_Atomic maps; /* two; NULL: there was no memory for them, or no need yet */
static _Atomic uint64_t version;         /* maps[version % 2] is in force */
_Atomic uint64_t address_map_span;

static uint64_t get(const _Atomic uint64_t *value)
{
  return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *to, uint64_t value)
{
  atomic_store_explicit(to, value, memory_order_relaxed);
}

static unsigned count_of(const _Atomic unsigned *count)
{
  return atomic_load_explicit(count, memory_order_relaxed);
}

static bool holds(const struct place *place, uintptr_t pc)
{
  return pc >= get(&place->low) && pc < get(&place->high);
}

/* The index of the place that holds `pc`; ADDRESS_MAP_MAX: none. */
static unsigned find(const struct place *places, unsigned count, uintptr_t pc)
{
  unsigned low = 0, high = count;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (get(&places[middle].low) <= pc)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && holds(&places[low - 1], pc) ? low - 1 : ADDRESS_MAP_MAX;
}

static uint64_t look_up_in(const struct address_map *map, uintptr_t pc)
{
  unsigned loaded = find(map->loaded, count_of(&map->loaded_count), pc);
  if (loaded < ADDRESS_MAP_MAX)
    return pc + get(&map->shifts[loaded]);
  unsigned past = find(map->past, count_of(&map->past_count), pc);
  return past < ADDRESS_MAP_MAX || holds(&map->past_span, pc) ? pc + ADDRESS_MAP_NOBODY : pc;
}

uint64_t address_map_look_up(uintptr_t pc)
{
  enum { ATTEMPTS = 4 };
  atomic_thread_fence(memory_order_acquire); /* pairs with address_map_begin: a span comes with maps */
  const struct address_map *both = atomic_load_explicit(&maps, memory_order_relaxed);
  for (int attempt = 0; both != NULL && attempt < ATTEMPTS; attempt++) {
    uint64_t read = atomic_load_explicit(&version, memory_order_acquire);
    uint64_t address = look_up_in(&both[read % 2], pc);
    /* The next map is built in the other half: only the one after it can have disturbed us. */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&version, memory_order_relaxed) == read)
      return address;
  }
  return pc + ADDRESS_MAP_NOBODY;
}

/* Building. Builders follow each other under modules_lock. */

static void set_count(_Atomic unsigned *count, unsigned value)
{
  atomic_store_explicit(count, value, memory_order_relaxed);
}

static struct address_map *next_map(void)
{
  return atomic_load_explicit(&maps, memory_order_relaxed) + (get(&version) + 1) % 2;
}

static void set_place(struct place *place, uintptr_t low, uintptr_t high)
{
  set(&place->low, low);
  set(&place->high, high);
}

bool address_map_begin(void)
{
  if (atomic_load_explicit(&maps, memory_order_relaxed) == NULL)
    atomic_store_explicit(&maps, sys_map_anonymous(2 * sizeof *maps), memory_order_relaxed);
  if (atomic_load_explicit(&maps, memory_order_relaxed) == NULL) {
    set(&address_map_span, (uint64_t)UINT32_MAX << 32); /* of all places nobody knows whose they are */
    return false;
  }
  struct address_map *map = next_map();
  /* Pairs with both fences of address_map_look_up: a reader that is still in this half must see the version that makes
   * it look again, one that sees a span there are maps. */
  atomic_thread_fence(memory_order_release);
  set_count(&map->loaded_count, 0);
  set_count(&map->past_count, 0);
  set_place(&map->past_span, 0, 0);
  return true;
}

void address_map_add_loaded(uintptr_t low, uintptr_t high, uint64_t shift)
{
  struct address_map *map = next_map();
  unsigned count = count_of(&map->loaded_count);
  INVARIANT(count < ADDRESS_MAP_MAX);
  set_place(&map->loaded[count], low, high);
  set(&map->shifts[count], shift);
  set_count(&map->loaded_count, count + 1);
}

void address_map_add_past(uintptr_t low, uintptr_t high)
{
  struct address_map *map = next_map();
  unsigned count = count_of(&map->past_count);
  INVARIANT(count < ADDRESS_MAP_MAX);
  set_place(&map->past[count], low, high);
  set_count(&map->past_count, count + 1);
}

void address_map_set_past_span(uintptr_t low, uintptr_t high)
{
  set_place(&next_map()->past_span, low, high);
}

static void widen(uint64_t *span, const struct place *place)
{
  uint64_t low = get(&place->low) >> ADDRESS_MAP_GRANULE_BITS;
  uint64_t high = (get(&place->high) >> ADDRESS_MAP_GRANULE_BITS) + 1;
  if (get(&place->high) == 0)
    return;
  if (*span == 0 || low < (uint32_t)*span)
    *span = (*span & ~(uint64_t)UINT32_MAX) | low;
  if (high > *span >> 32)
    *span = high << 32 | (uint32_t)*span;
}

void address_map_end(void)
{
  const struct address_map *map = next_map();
  uint64_t span = 0;
  for (unsigned i = 0; i < count_of(&map->loaded_count); i++)
    if (get(&map->shifts[i]) != 0)
      widen(&span, &map->loaded[i]);
  for (unsigned i = 0; i < count_of(&map->past_count); i++)
    widen(&span, &map->past[i]);
  widen(&span, &map->past_span);
  atomic_store_explicit(&version, get(&version) + 1, memory_order_release /* pairs with address_map_look_up */);
  set(&address_map_span, span);
}
