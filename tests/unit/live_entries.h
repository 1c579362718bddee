/* SPDX-License-Identifier: MIT */
/* What test_live and test_live_exact share: entries by number; what threads and adoption may not change.
 *
 * Before it come
 *   ENTRY_HALVES                                  the bits of a number that are its entry's halves
 *   SHADOW_STRIDE, ADOPTED_STRIDE, FREED_STRIDE   from address to address, in each of the tests
 *   expect_nothing_held()                         of a table that should be empty
 */
#ifndef LIVE_ENTRIES_H
#define LIVE_ENTRIES_H

#include "core/live/live.h"
#include "core/prng.h"
#include "unit.h"

/* Addresses are only compared, never followed. */
static const void *address(uint64_t number, uint64_t stride)
{
  return (const void *)(uintptr_t)(0x7f0000001010 + number * stride);
}

static struct live_entry entry(uint64_t number)
{
  return (struct live_entry){.stack = (uint32_t)number + 1, .halves = number & ENTRY_HALVES, .size_bytes = number * 3};
}

static bool is_entry(const struct live_entry *got, uint64_t number)
{
  struct live_entry expected = entry(number);
  return got->stack == expected.stack && got->halves == expected.halves && got->size_bytes == expected.size_bytes;
}

static void expect_removed(const void *pointer, uint64_t number)
{
  struct live_entry got;
  require(live_may_hold(pointer) && live_remove(pointer, &got) && is_entry(&got, number));
  require(!live_remove(pointer, &got));
}

/* Threads: whoever wins the state of a pointer owns it, as with malloc and free. */

enum { THREADS = 8, POINTERS = 3000, ROUNDS = 500000 };
enum { ABSENT, PRESENT, BUSY };
static _Atomic int shadow[POINTERS];
static _Atomic uint64_t removed_elsewhere;
static _Atomic unsigned started;
static uint8_t adder[POINTERS];

static void *add_and_remove(void *number)
{
  uint64_t random = (uintptr_t)number + 100;
  uint8_t self = (uint8_t)(uintptr_t)number;
  atomic_fetch_add(&started, 1);
  while (started < THREADS)
    ;

  for (int i = 0; i < ROUNDS; i++) {
    uint64_t pointer = prng_next(&random) % POINTERS;
    int state = atomic_load(&shadow[pointer]);
    if (state == BUSY || !atomic_compare_exchange_strong(&shadow[pointer], &state, BUSY))
      continue;
    if (state == ABSENT) {
      require(live_add(address(pointer, SHADOW_STRIDE), entry(pointer)));
      adder[pointer] = self;
    } else {
      require(live_filter_may_hold(address(pointer, SHADOW_STRIDE)));
      expect_removed(address(pointer, SHADOW_STRIDE), pointer);
      atomic_fetch_add_explicit(&removed_elsewhere, adder[pointer] != self, memory_order_relaxed);
    }
    atomic_store(&shadow[pointer], state == ABSENT ? PRESENT : ABSENT);
  }
  return NULL;
}

static void agree_with_the_shadow(void)
{
  uint64_t expected = 0;
  struct live_entry got;
  unit_run_threads(THREADS, add_and_remove);
  for (uint64_t i = 0; i < POINTERS; i++)
    expected += shadow[i] == PRESENT;
  require(live_count() == expected && expected > 0);
  require(removed_elsewhere > POINTERS);
  for (uint64_t i = 0; i < POINTERS; i++)
    require(live_remove(address(i, SHADOW_STRIDE), &got) == (shadow[i] == PRESENT));
  require(live_count() == 0);
}

/* Adoption. */

static uint64_t visited, settled;
static unsigned visits[2000], frees[2000];

static void visit(struct live_entry got)
{
  require(is_entry(&got, got.stack - 1));
  visits[got.stack - 1]++;
  visited++;
}

static void settle(struct live_entry got)
{
  require(is_entry(&got, got.stack - 1));
  frees[got.stack - 1]++;
  settled++;
}

CHILD_TEST(adoption_counts_what_it_saw_and_lost)
{
  for (int generation = 0; generation < 5; generation++) { /* a child of a child of a child */
    visited = settled = 0;
    memset(visits, 0, sizeof visits);
    memset(frees, 0, sizeof frees);
    for (uint64_t i = 0; i < 1000; i++)
      require(live_add(address(i, ADOPTED_STRIDE), entry(i)));
    for (uint64_t i = 0; i < 100; i++) /* freed before it was visited */
      require(live_remove_during_adoption(address(i, ADOPTED_STRIDE)));
    require(!live_remove_during_adoption(address(5, ADOPTED_STRIDE)) &&
            !live_remove_during_adoption(address(5000, ADOPTED_STRIDE)));
    live_adopt_each(visit);
    require(visited == 900);
    for (uint64_t i = 100; i < 150; i++) /* freed after */
      require(live_remove_during_adoption(address(i, ADOPTED_STRIDE)));
    live_adopt_settle(settle);
    require(settled == 50 && live_count() == 850);
    for (uint64_t i = 0; i < 1000; i++)
      require(visits[i] == (i >= 100) && frees[i] == (i >= 100 && i < 150));
    live_adopt_settle(settle);
    require(settled == 50);
    for (uint64_t i = 0; i < 2000; i++) /* an entry that was added later is not of that adoption */
      require(live_add(address(i + 5000, 800), entry(i)));
    require(live_remove_during_adoption(address(5007, 800)));
    live_adopt_settle(settle);
    require(settled == 50);
    for (uint64_t i = 0; i < 2000; i++)
      if (i != 7)
        expect_removed(address(i + 5000, 800), i);
    for (uint64_t i = 150; i < 1000; i++)
      expect_removed(address(i, ADOPTED_STRIDE), i);
    require(live_count() == 0);
    expect_nothing_held();
  }
}

static _Atomic bool is_adopted;

static void *free_meanwhile(void *number)
{
  uint64_t first = 250 * (uint64_t)(uintptr_t)number;
  for (uint64_t i = first; i < first + 250; i++) {
    require(live_remove_during_adoption(address(i, FREED_STRIDE)));
    if (is_adopted)
      live_adopt_settle(settle);
  }
  return NULL;
}

/* Three threads free while one adopts: what was visited is freed once, what was not is not. */
static void *adopt_or_free(void *number)
{
  if ((uintptr_t)number < 3)
    return free_meanwhile(number);
  live_adopt_each(visit);
  live_adopt_settle(settle);
  return NULL;
}

CHILD_TEST(frees_during_adoption_are_not_lost)
{
  for (uint64_t i = 0; i < 1000; i++)
    require(live_add(address(i, FREED_STRIDE), entry(i)));
  unit_run_threads(4, adopt_or_free);
  live_adopt_settle(settle);
  require(live_count() == 250 && visited >= 250 && visited - settled == 250);
  for (uint64_t i = 0; i < 1000; i++)
    require(visits[i] - frees[i] == (i >= 750));
}

#endif
