/* SPDX-License-Identifier: MIT */
/* The live table of exact mode. */
#include "core/live/live.h"
#include "core/live/live_directory.h"
#include "core/live/live_exact.h"

#include "core/prng.h"
#include "unit.h"

/* Five to a word's place in the first test: many need a node; of the others some do. */
enum { ENTRY_HALVES = 0, SHADOW_STRIDE = 5, ADOPTED_STRIDE = 637, FREED_STRIDE = 60 };

static void expect_nothing_held(void)
{
  struct live_entry got;
  for (uintptr_t i = 0; i < 1000; i++)
    require(!live_remove((const void *)(0x7f0000001010 + i * ADOPTED_STRIDE), &got));
}

#include "live_entries.h"

static int exactly(void **state)
{
  (void)state;
  live_init(true);
  return 0;
}

CHILD_TEST(what_was_added_can_be_removed_once)
{
  struct live_entry got;
  require(!live_remove(address(1, 16), &got) && live_count() == 0);
  require(live_add(address(1, 16), entry(1)) && live_add(address(2, 16), entry(2)));
  require(live_count() == 2 && !live_remove(address(3, 16), &got) && !live_remove(address(3, 1 << 30), &got));
  require(live_may_hold(address(1, 16)) && live_may_hold(address(2, 16)));
  require(live_filter_may_hold(address(1, 16)) && !live_filter_may_hold(address(1, 4096)));
  expect_removed(address(1, 16), 1);
  require(live_add(address(1, 16), entry(7)));
  expect_removed(address(1, 16), 7);
  expect_removed(address(2, 16), 2);
  require(live_count() == 0);
}

/* What a word has no room for comes back as it was, too. */
CHILD_TEST(large_entries_are_whole)
{
  static const struct live_entry entries[] = {
      {.stack = 1, .size_bytes = 0},
      {.stack = 1, .size_bytes = (1u << 26) - 1},
      {.stack = 1, .size_bytes = 1u << 26},
      {.stack = 1, .size_bytes = (1ull << 57) - 1},
      {.stack = (1u << 25) - 1, .size_bytes = 40},
      {.stack = 1u << 25, .size_bytes = 40},
      {.stack = UINT32_MAX, .size_bytes = 40},
      {.stack = 1, .halves = 3, .size_bytes = 40},
  };
  for (int round = 0; round < 3; round++) {
    for (unsigned i = 0; i < COUNT_OF(entries); i++)
      require(live_add(address(i, 64), entries[i]));
    require(live_count() == COUNT_OF(entries));
    for (unsigned i = 0; i < COUNT_OF(entries); i++) {
      struct live_entry got;
      require(live_remove(address(i, 64), &got) && got.stack == entries[i].stack && got.halves == entries[i].halves &&
              got.size_bytes == entries[i].size_bytes);
    }
  }
  require(live_count() == 0);
}

/* Some allocators align to nothing at all, some put tags into the uppermost bits. */
CHILD_TEST(odd_addresses_are_told_apart)
{
  static const uintptr_t bases[] = {0x10, 0x7f0000001000, 0xb400007f00001000, UINTPTR_MAX - 4095};
  struct live_entry got;
  for (unsigned b = 0; b < COUNT_OF(bases); b++)
    for (unsigned i = 0; i < 32; i++)
      require(live_add((const void *)(bases[b] + i), entry(b * 32 + i)));
  require(live_count() == 32 * COUNT_OF(bases));
  for (unsigned b = 0; b < COUNT_OF(bases); b++) {
    require(!live_remove((const void *)(bases[b] + 33), &got));
    for (unsigned i = 32; i-- > 0;)
      expect_removed((const void *)(bases[b] + i), b * 32 + i);
  }
  require(live_count() == 0);
}

/* Every stride that allocators like, in order, backwards, and shuffled. */
CHILD_TEST(strides_do_not_crowd_it)
{
  static const uint64_t strides[] = {8, 16, 48, 400, 4096, 4112, 65536, 1 << 20, 1 << 21, (1ull << 28) + 16};
  enum { ENTRIES = 2048, ODD = 1021 };
  for (size_t s = 0; s < COUNT_OF(strides); s++) {
    for (uint64_t i = 0; i < ENTRIES; i++)
      require(live_add(address(i, strides[s]), entry(i)));
    require(live_count() == ENTRIES);
    for (uint64_t i = 0; i < ENTRIES; i++)
      expect_removed(address(i, strides[s]), i);
    require(live_count() == 0);
    for (uint64_t i = ENTRIES; i-- > 0;)
      require(live_add(address(i, strides[s]), entry(i)));
    for (uint64_t i = 0; i < ENTRIES; i++)
      expect_removed(address(i * ODD % ENTRIES, strides[s]), i * ODD % ENTRIES);
    require(live_count() == 0);
  }
}

/* The first object of a block says how many it will have, and is wrong: it gets shelf after shelf. */
CHILD_TEST(blocks_that_fill_up_get_more_shelves)
{
  struct live_entry first = {.stack = 1, .size_bytes = 4096}, got;
  for (uint64_t block = 0; block < 4; block++) {
    require(live_add(address(block, 4096), first));
    for (uint64_t i = 1; i < 512; i++)
      require(live_add(address(block * 512 + i, 8), entry(i)));
  }
  require(live_count() == 4 * 512);
  for (uint64_t block = 0; block < 4; block++) {
    require(live_remove(address(block, 4096), &got) && got.size_bytes == 4096);
    for (uint64_t i = 512; i-- > 1;)
      expect_removed(address(block * 512 + i, 8), i);
  }
  require(live_count() == 0);
}

/* Bytes for each of many objects of one size, all that was mapped counted. */
static double bytes_each(uint64_t size_bytes, uint64_t stride, uint64_t count)
{
  struct live_entry it = {.stack = 1, .size_bytes = size_bytes};
  uint64_t before = region_header()->own_bytes;
  for (uint64_t i = 0; i < count; i++)
    require(live_add(address(i, stride), it));
  return (double)(region_header()->own_bytes - before) / (double)count;
}

static void expect_bytes(uint64_t size_bytes, uint64_t stride, double most)
{
  enum { COUNT = 1 << 20 };
  double bytes = bytes_each(size_bytes, stride, COUNT);
  if (bytes > most)
    fprintf(stderr, "%.1f bytes for each object of %u, at most %.1f are allowed\n", bytes, (unsigned)size_bytes, most);
  require(bytes <= most);
}

/* Half of what is mapped is not touched yet, at the worst, as pieces double. */
#define BYTES_TEST(name, size, stride, most)                                                                           \
  CHILD_TEST(name)                                                                                                     \
  {                                                                                                                    \
    unit_region();                                                                                                     \
    expect_bytes(size, stride, most);                                                                                  \
  }
BYTES_TEST(bytes_of_small_objects, 8, 16, 2 * 26)
BYTES_TEST(bytes_of_objects_of_32, 24, 32, 2 * 18)
BYTES_TEST(bytes_of_objects_of_48, 40, 48, 2 * 14)
BYTES_TEST(bytes_of_objects_of_100, 100, 112, 2 * 16)
BYTES_TEST(bytes_of_objects_of_a_kilobyte, 1000, 1024, 2 * 35)
BYTES_TEST(bytes_of_objects_of_a_block, 4000, 4096, 2 * 74)

/* Churn at a constant number of objects in the same heap takes nothing more. */
CHILD_TEST(churn_does_not_grow_it)
{
  enum { LIVE = 20000, PLACES = 32768 };
  static uint32_t places[LIVE];
  static bool is_taken[PLACES];
  uint64_t random = 12, full = 0;
  struct live_entry got;
  unit_region();
  for (unsigned i = 0; i < LIVE; i++) {
    places[i] = i;
    is_taken[i] = true;
    require(live_add(address(i, 112), entry(i)));
  }
  for (int i = 0; i < 1000000; i++) {
    if (i == 200000)
      full = region_header()->own_bytes;
    unsigned victim = (unsigned)(prng_next(&random) % LIVE), place = (unsigned)(prng_next(&random) % PLACES);
    if (is_taken[place])
      continue;
    require(live_remove(address(places[victim], 112), &got) && is_entry(&got, places[victim]));
    is_taken[places[victim]] = false;
    is_taken[place] = true;
    places[victim] = place;
    require(live_add(address(place, 112), entry(place)));
  }
  require(live_count() == LIVE && region_header()->own_bytes == full);
}

CHILD_TEST(threads_agree_with_the_shadow)
{
  agree_with_the_shadow();
}

/* Of memory, and of areas: what finds no room is not there, all else is. */

CHILD_TEST(refused_memory_drops_the_entry)
{
  uint64_t added = 0;
  struct live_entry got;
  unit_limit(RLIMIT_AS, 0);
  require(!live_add(address(0, 4096), entry(0)) && live_count() == 0 && !live_remove(address(0, 4096), &got));
  unit_limit(RLIMIT_AS, RLIM_INFINITY);
  require(live_add(address(added, 4096), entry(added)));
  unit_limit(RLIMIT_AS, 0);
  while (live_add(address(added + 1, 4096), entry(added + 1)))
    added++;
  require(added < 100000 && !live_remove(address(added + 1, 4096), &got) && live_count() == added + 1);
  unit_limit(RLIMIT_AS, RLIM_INFINITY);
  for (uint64_t i = added + 1; i < 5000; i++)
    require(live_add(address(i, 4096), entry(i)));
  for (uint64_t i = 0; i < 5000; i++)
    expect_removed(address(i, 4096), i);
}

CHILD_TEST(far_places_are_refused_when_there_are_too_many)
{
  enum { PLACES = 6000, SPARED = 2000 };
  static bool is_there[PLACES];
  uint64_t added = 0;
  struct live_entry got;
  for (uint64_t i = 0; i < PLACES; i++) {
    is_there[i] = live_add(address(i, 1ull << 28), entry(i));
    require(is_there[i] || i > SPARED);
    added += is_there[i];
  }
  require(added < PLACES && live_count() == added);
  for (uint64_t i = 0; i < PLACES; i++)
    require(live_remove(address(i, 1ull << 28), &got) == is_there[i]);
  require(live_count() == 0);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_added_can_be_removed_once),
      cmocka_unit_test(large_entries_are_whole),
      cmocka_unit_test(odd_addresses_are_told_apart),
      cmocka_unit_test(strides_do_not_crowd_it),
      cmocka_unit_test(blocks_that_fill_up_get_more_shelves),
      cmocka_unit_test(bytes_of_small_objects),
      cmocka_unit_test(bytes_of_objects_of_32),
      cmocka_unit_test(bytes_of_objects_of_48),
      cmocka_unit_test(bytes_of_objects_of_100),
      cmocka_unit_test(bytes_of_objects_of_a_kilobyte),
      cmocka_unit_test(bytes_of_objects_of_a_block),
      cmocka_unit_test(churn_does_not_grow_it),
      cmocka_unit_test(threads_agree_with_the_shadow),
      cmocka_unit_test(adoption_counts_what_it_saw_and_lost),
      cmocka_unit_test(frees_during_adoption_are_not_lost),
      cmocka_unit_test(refused_memory_drops_the_entry),
      cmocka_unit_test(far_places_are_refused_when_there_are_too_many),
  };
  return cmocka_run_group_tests(tests, exactly, NULL);
}
