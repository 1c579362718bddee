/* SPDX-License-Identifier: MIT */
#include "core/live/live.h"

#include "core/prng.h"
#include "unit.h"

static unsigned count_of(const void *pointer)
{
  return *live_filter_of(pointer) & LIVE_FILTER_COUNT_MAX;
}

static bool filter_is_empty(void)
{
  for (size_t i = 0; i < LIVE_FILTER_BYTES; i++)
    if (live_filter[i] != 0)
      return false;
  return true;
}

static void expect_nothing_held(void)
{
  require(filter_is_empty());
}

enum { ENTRY_HALVES = 3, SHADOW_STRIDE = 16, ADOPTED_STRIDE = 640, FREED_STRIDE = 64 };
#include "live_entries.h"

CHILD_TEST(what_was_added_can_be_removed_once)
{
  struct live_entry got;
  require(!live_remove(address(1, 16), &got) && live_count() == 0);
  require(live_add(address(1, 16), entry(1)) && live_add(address(2, 16), entry(2)));
  require(live_count() == 2 && !live_remove(address(3, 16), &got));
  require(live_remove(address(1, 16), &got) && is_entry(&got, 1));
  require(!live_remove(address(1, 16), &got));
  require(live_add(address(1, 16), entry(7)));
  require(live_remove(address(1, 16), &got) && is_entry(&got, 7));
  require(live_remove(address(2, 16), &got) && is_entry(&got, 2));
  require(live_count() == 0 && filter_is_empty());
  struct live_entry largest = {.stack = UINT32_MAX, .halves = 3, .size_bytes = (1ull << 57) - 1};
  require(live_add(address(9, 16), largest) && live_remove(address(9, 16), &got));
  require(got.size_bytes == largest.size_bytes && got.halves == 3 && got.stack == UINT32_MAX);
}

/* Fills and empties the table with every stride that allocators like. */
CHILD_TEST(strides_do_not_crowd_it)
{
  static const uint64_t strides[] = {16, 48, 4096, 4112, 65536, 1 << 20, 1 << 21, (1ull << 32) + 16};
  struct live_entry got;
  for (size_t s = 0; s < COUNT_OF(strides); s++) {
    for (uint64_t i = 0; i < 10000; i++)
      require(live_add(address(i, strides[s]), entry(i)));
    require(live_count() == 10000);
    for (uint64_t i = 0; i < 10000; i++)
      require(live_remove(address(i, strides[s]), &got) && is_entry(&got, i));
    require(live_count() == 0);
  }
  memset((void *)live_filter, 0, sizeof live_filter);
}

CHILD_TEST(a_million_entries_take_64_bytes_each)
{
  enum { ENTRIES = 1000000 };
  struct live_entry got;
  unit_region();
  uint64_t before = region_header()->own_bytes;
  double worst = 0;
  for (uint64_t i = 0; i < ENTRIES; i++) {
    require(live_add(address(i, 4096), entry(i)));
    double bytes = (double)(region_header()->own_bytes - before) / (double)(i + 1);
    if (i >= 10000 && bytes > worst)
      worst = bytes;
  }
  double at_the_end = (double)(region_header()->own_bytes - before) / ENTRIES;
  require(live_count() == ENTRIES);
  require(!live_remove(address(ENTRIES, 4096), &got));
  for (uint64_t i = ENTRIES; i-- > 0;)
    require(live_remove(address(i, 4096), &got) && is_entry(&got, i));
  require(live_count() == 0 && filter_is_empty());
  uint64_t full = region_header()->own_bytes;
  for (uint64_t i = 0; i < ENTRIES; i++) /* nodes and slots are used again */
    require(live_add(address(i, 48), entry(i)));
  require(region_header()->own_bytes <= full + full / 8);
  if (at_the_end > 64 || worst > 96)
    fprintf(stderr, "%.1f bytes an entry at the end, %.1f at the worst\n", at_the_end, worst);
  require(at_the_end <= 64 && worst <= 96); /* at the worst half a chunk of nodes is mapped and not touched */
}

/* Churn at a constant number of entries must not make the table grow. */
CHILD_TEST(churn_does_not_grow_it)
{
  enum { LIVE = 20000 };
  static uint64_t numbers[LIVE];
  uint64_t random = 12, next = 0;
  struct live_entry got;
  unit_region();
  for (unsigned i = 0; i < LIVE; i++)
    numbers[i] = next++;
  for (unsigned i = 0; i < LIVE; i++)
    require(live_add(address(numbers[i], 112), entry(numbers[i])));
  uint64_t full = region_header()->own_bytes;
  for (int i = 0; i < 1000000; i++) {
    unsigned victim = (unsigned)(prng_next(&random) % LIVE);
    require(live_remove(address(numbers[victim], 112), &got) && is_entry(&got, numbers[victim]));
    numbers[victim] = next++;
    require(live_add(address(numbers[victim], 112), entry(numbers[victim])));
  }
  require(live_count() == LIVE && region_header()->own_bytes <= full + 64 * LIVE);
}

CHILD_TEST(threads_agree_with_the_shadow)
{
  agree_with_the_shadow();
  for (uint64_t i = 0; i < POINTERS; i++) /* 256 pointers a page: what reached 15 stays, the rest is zero */
    require(*live_filter_of(address(i, 16)) == 0 || count_of(address(i, 16)) == LIVE_FILTER_COUNT_MAX);
}

/* Threads that free what others allocated leave it to them: a producer and its consumers need no more memory with time. */

enum { HANDED = 8000 };

static void *remove_an_eighth(void *number)
{
  struct live_entry got;
  for (uint64_t i = (uintptr_t)number; i < HANDED; i += THREADS)
    require(live_remove(address(i, 64), &got) && is_entry(&got, i));
  return NULL;
}

CHILD_TEST(nodes_go_back_to_those_who_add)
{
  uint64_t after_first = 0;
  unit_region();
  for (int round = 0; round < 12; round++) {
    for (uint64_t i = 0; i < HANDED; i++)
      require(live_add(address(i, 64), entry(i)));
    unit_run_threads(THREADS, remove_an_eighth);
    if (round == 0)
      after_first = region_header()->own_bytes;
  }
  require(region_header()->own_bytes == after_first);
}

/* The filter. */

CHILD_TEST(filter_counts_the_objects_of_a_page)
{
  struct live_entry got;
  require(!live_filter_may_hold(address(0, 16)));
  for (uint64_t i = 0; i < 14; i++) {
    require(live_add(address(i, 8), entry(i)));
    require(count_of(address(0, 8)) == i + 1 && live_filter_may_hold(address(0, 8)));
  }
  require(!live_filter_may_hold(address(1, 4096)));
  for (uint64_t i = 0; i < 14; i++) {
    require(live_filter_may_be(address(i, 8)));
    require(live_remove(address(i, 8), &got) && count_of(address(0, 8)) == 13 - i);
  }
  require(*live_filter_of(address(0, 16)) == 0);
}

/* Of the objects on a page with one sample, the filter lets through that one, and one of four others. */
CHILD_TEST(filter_tells_objects_of_a_page_apart)
{
  struct live_entry got;
  unsigned passed = 0;
  for (uint64_t sampled = 0; sampled < 256; sampled++) {
    require(live_add(address(sampled, 16), entry(sampled)));
    require(live_filter_may_be(address(sampled, 16)) && live_may_hold(address(sampled, 16)));
    for (uint64_t other = 0; other < 256; other++)
      passed += live_filter_may_be(address(other, 16));
    require(live_remove(address(sampled, 16), &got) && !live_filter_may_be(address(sampled, 16)));
  }
  require(passed > 256 * 256 * 23 / 100 && passed < 256 * 256 * 27 / 100);
}

CHILD_TEST(filter_saturates)
{
  struct live_entry got;
  for (uint64_t i = 0; i < 400; i++)
    require(live_add(address(i, 4), entry(i)) && live_filter_may_be(address(i, 4)));
  require(count_of(address(0, 4)) == LIVE_FILTER_COUNT_MAX);
  for (uint64_t i = 0; i < 400; i++)
    require(live_remove(address(i, 4), &got) && live_filter_may_hold(address(i, 4)));
  require(count_of(address(0, 4)) == LIVE_FILTER_COUNT_MAX);
}

CHILD_TEST(filter_can_be_marked_for_ever)
{
  struct live_entry got;
  live_filter_mark_forever(address(0, 1));
  require(live_add(address(0, 1), entry(0)) && live_remove(address(0, 1), &got));
  require(live_filter_may_hold(address(0, 1)) && live_filter_may_be(address(0, 1)));
}

CHILD_TEST(filter_of_an_address_is_that_of_its_page)
{
  require(live_filter_of((void *)0x7f1234567fff) == live_filter_of((void *)0x7f1234567000));
  require(live_filter_of((void *)0x7f1234568000) == live_filter_of((void *)0x7f1234567000) + 1);
  require(live_filter_of((void *)0x7fffffffffff) == &live_filter[LIVE_FILTER_BYTES - 1]);
  require(live_filter_of((void *)0) == live_filter);
}

CHILD_TEST(refused_memory_drops_the_entry)
{
  uint64_t added = 0;
  struct live_entry got;
  unit_limit(RLIMIT_AS, 0);
  while (live_add(address(added, 4096), entry(added)) && added < 100000)
    added++;
  require(added < 100000);
  require(!live_filter_may_hold(address(added, 4096)) && !live_remove(address(added, 4096), &got));
  require(live_count() == added);
  unit_limit(RLIMIT_AS, RLIM_INFINITY);
  for (uint64_t i = added; i < 5000; i++)
    require(live_add(address(i, 4096), entry(i)));
  for (uint64_t i = 0; i < 5000; i++)
    require(live_remove(address(i, 4096), &got) && is_entry(&got, i));
  require(filter_is_empty());
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_added_can_be_removed_once),
      cmocka_unit_test(strides_do_not_crowd_it),
      cmocka_unit_test(a_million_entries_take_64_bytes_each),
      cmocka_unit_test(churn_does_not_grow_it),
      cmocka_unit_test(threads_agree_with_the_shadow),
      cmocka_unit_test(nodes_go_back_to_those_who_add),
      cmocka_unit_test(filter_counts_the_objects_of_a_page),
      cmocka_unit_test(filter_tells_objects_of_a_page_apart),
      cmocka_unit_test(filter_saturates),
      cmocka_unit_test(filter_can_be_marked_for_ever),
      cmocka_unit_test(filter_of_an_address_is_that_of_its_page),
      cmocka_unit_test(adoption_counts_what_it_saw_and_lost),
      cmocka_unit_test(frees_during_adoption_are_not_lost),
      cmocka_unit_test(refused_memory_drops_the_entry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
