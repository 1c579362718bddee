/* SPDX-License-Identifier: MIT */
#include "core/stacks.h"

#include "core/cuts.h"
#include "core/prng.h"
#include "core/tally.h"
#include "unit.h"

enum { DEPTH = 12, INDEX_BYTES_A_STACK = 128 };

/* The n-th of many stacks that share their outer frames. */
static unsigned make_stack(uint64_t number, uintptr_t pcs[DEPTH])
{
  unsigned depth = 4 + (unsigned)(number % (DEPTH - 3));
  for (unsigned i = 0; i < depth; i++)
    pcs[i] = 0x7f0000400000 + (number >> (i < 4 ? 4 * i : 16)) * 64 + i;
  return depth;
}

static uint32_t intern_number(uint64_t number)
{
  uintptr_t pcs[DEPTH];
  unsigned depth = make_stack(number, pcs);
  return stacks_intern(pcs, depth, 0);
}

static struct stack_record *stack_at(uint32_t id)
{
  return (struct stack_record *)region_at(id);
}

static uint64_t count_records(void)
{
  uint64_t position = 0, count = 0;
  while (stacks_next(&position) != NULL)
    count++;
  return count;
}

CHILD_TEST(equal_stacks_share_a_bucket)
{
  unit_region();
  const uintptr_t pcs[] = {10, 20, 30}, swapped[] = {20, 10, 30};
  uint32_t id = stacks_intern(pcs, 3, 0);
  require(id != 0 && stacks_intern(pcs, 3, 0) == id);
  require(stack_at(id)->record.constant_words == 3 && memcmp(stack_at(id)->pcs, pcs, sizeof pcs) == 0);
  uint32_t others[] = {stacks_intern(pcs, 2, 0),
                       stacks_intern(pcs + 1, 2, 0),
                       stacks_intern(swapped, 3, 0),
                       stacks_intern(pcs, 3, STACK_TRUNCATED),
                       stacks_intern(pcs, 3, STACK_FRAME_POINTERS),
                       id};
  for (unsigned i = 0; i < COUNT_OF(others); i++)
    for (unsigned j = 0; j < i; j++)
      require(others[i] != 0 && others[i] != others[j]);
  require(stack_at(others[3])->flags == STACK_TRUNCATED);
  require(region_header()->stacks == COUNT_OF(others));
  require(count_records() == COUNT_OF(others) + 1); /* and the stand-in for when there is no room */
}

CHILD_TEST(a_hundred_thousand_stacks)
{
  enum { STACKS = 100000 };
  static uint32_t ids[STACKS];
  unit_region();
  uint64_t before = region_header()->own_bytes;
  for (unsigned i = 0; i < STACKS; i++)
    require((ids[i] = intern_number(i)) != 0);
  require(region_header()->stacks == STACKS && count_records() == STACKS + 1);
  for (unsigned i = 0; i < STACKS; i++) {
    uintptr_t pcs[DEPTH];
    unsigned depth = make_stack(i, pcs);
    require(stacks_intern(pcs, depth, 0) == ids[i]);
    require(stack_at(ids[i])->record.constant_words == depth);
    require(memcmp(stack_at(ids[i])->pcs, pcs, depth * sizeof *pcs) == 0);
  }
  require(region_header()->stacks == STACKS && region_header()->lost[LOSS_stack_table] == 0);
  struct stat status;
  require(stat(region_path(), &status) == 0);
  uint64_t index_bytes = region_header()->own_bytes - before - ((uint64_t)status.st_size - REGION_FIRST_SEGMENT_BYTES);
  require(index_bytes <= 64 * STACKS);
}

/* Mapped, at the worst moment: when a level has just been added. */
CHILD_TEST(index_takes_few_bytes_a_stack)
{
  double worst = 0;
  unit_region();
  for (uint64_t stacks = 1; stacks <= 300000; stacks++) {
    uintptr_t pcs[1] = {stacks * 16};
    struct stat status;
    require(stacks_intern(pcs, 1, 0) != 0);
    if (stacks % 512 != 0 || stacks < 4096)
      continue;
    require(stat(region_path(), &status) == 0);
    double bytes = (double)(region_header()->own_bytes - (uint64_t)status.st_size) / (double)stacks;
    worst = bytes > worst ? bytes : worst;
  }
  if (worst > INDEX_BYTES_A_STACK)
    fprintf(stderr, "%.1f bytes of index a stack\n", worst);
  require(worst > 0 && worst <= INDEX_BYTES_A_STACK);
}

static void expect_sums(struct tally_sums sums, uint64_t samples, double objects, double bytes, double variance_objects,
                        double variance_bytes)
{
  require(sums.samples == samples);
  require(sums.objects_q16 == (uint64_t)(objects * 65536) && sums.bytes_q4 == (uint64_t)(bytes * 16));
  require(sums.variance_objects == variance_objects && sums.variance_bytes == variance_bytes);
}

static unsigned asked;
static size_t usable[16];

static size_t usable_size(void *pointer)
{
  (void)pointer;
  return usable[asked++];
}

/* Of the 1st, 2nd, 4th, 8th ... sample. */
CHILD_TEST(rounding_is_the_mean_of_those_noted)
{
  unit_region();
  uint32_t id = intern_number(1), other = intern_number(2);
  struct sample_weight weight = {.size_bytes = 64, .objects_q16 = 1 << 20}, nothing = {.objects_q16 = 1 << 20};
  stacks_count_allocation(other, weight, &weight); /* the allocator cannot tell */
  require(stack_at(other)->rounding_q16 == 0);
  stacks_set_usable_size(usable_size);
  for (unsigned i = 0; i < COUNT_OF(usable); i++)
    usable[i] = i % 2 == 0 ? 64 : 96;
  for (unsigned sample = 1; sample <= 1000; sample++) {
    unsigned before = asked;
    stacks_count_allocation(id, weight, &weight);
    require((asked > before) == ((sample & (sample - 1)) == 0));
  }
  require(asked == 10);
  uint32_t quarter = 1 + (1 << 14), found = stack_at(id)->rounding_q16;
  require(found + 2 >= quarter && found <= quarter + 2);
  /* Of nothing there is no share, no allocator gives less than it was asked for, and one may say anything. */
  usable[asked] = 63;
  for (unsigned sample = 2; sample <= 5; sample++)
    stacks_count_allocation(other, sample == 4 ? nothing : weight, &weight);
  require(asked == 11 && stack_at(other)->rounding_q16 == 0);
  usable[asked] = SIZE_MAX;
  stacks_count_allocation(intern_number(3), weight, &weight);
  require(stack_at(intern_number(3))->rounding_q16 == UINT32_MAX);
}

CHILD_TEST(counts_come_out_as_they_went_in)
{
  unit_region();
  struct stack_record *stack = stack_at(intern_number(1));
  uint32_t id = intern_number(1);
  /* 2.5 objects of 10 bytes each, and one of 100 that was certain. */
  struct sample_weight two = {.size_bytes = 10, .objects_q16 = 5 << 15},
                       one = {.size_bytes = 100, .objects_q16 = 65536};
  stacks_count_allocation(id, two, NULL);
  stacks_count_allocation(id, two, NULL);
  stacks_count_allocation(id, one, NULL);
  struct stack_sums sums = stacks_read(stack);
  expect_sums(sums.allocated, 3, 6, 150, 2 * 2.5 * 1.5, 2 * 100 * 2.5 * 1.5);
  expect_sums(sums.in_use, 3, 6, 150, 2 * 2.5 * 1.5, 2 * 100 * 2.5 * 1.5);
  stacks_count_free(id, two);
  sums = stacks_read(stack);
  expect_sums(sums.allocated, 3, 6, 150, 7.5, 750);
  expect_sums(sums.in_use, 2, 3.5, 125, 3.75, 375);
  stacks_count_free(id, one);
  stacks_count_free(id, two);
  expect_sums(stacks_read(stack).in_use, 0, 0, 0, 0, 0);
  stacks_count_free(id, two); /* one too many */
  expect_sums(stacks_read(stack).in_use, 0, 0, 0, 0, 0);
  stacks_inherit();
  expect_sums(stacks_read(stack).allocated, 0, 0, 0, 0, 0);
  require(stacks_read(stack).in_use.samples == 0);
}

/* Weights that no sum of doubles represents exactly. */
CHILD_TEST(in_use_comes_back_to_exactly_zero)
{
  enum { LIVE = 5000 };
  static struct sample_weight weights[LIVE];
  unit_region();
  uint64_t random = 6;
  uint32_t id = intern_number(1);
  for (unsigned i = 0; i < LIVE; i++) {
    weights[i] = (struct sample_weight){.size_bytes = prng_next(&random) % 100000,
                                        .objects_q16 = 65536 + prng_next(&random) % (1ull << 35)};
    stacks_count_allocation(id, weights[i], NULL);
  }
  for (unsigned i = LIVE; i-- > 0;)
    stacks_count_free(id, weights[i]);
  expect_sums(stacks_read(stack_at(id)).in_use, 0, 0, 0, 0, 0);
}

/* Threads. */

enum { THREADS = 4, SHARED = 20000 };
static uint32_t interned[THREADS][SHARED];
static _Atomic unsigned ready;

static void *intern_all(void *number)
{
  uintptr_t self = (uintptr_t)number;
  atomic_fetch_add(&ready, 1);
  while (ready < THREADS)
    ;
  for (unsigned i = 0; i < SHARED; i++)
    do /* all in the same order: they meet all the time */
      interned[self][i] = intern_number(i);
    while ((stack_at(interned[self][i])->flags & STACK_TABLE_FULL) != 0); /* the region grows, and the disk is slow */

  return NULL;
}

/* 2^48 objects of one stack, 2^60 bytes: 89 days at 36 million a second. */
static void what_is_in_use_outlives_the_sums(void **state)
{
  (void)state;
  struct tally allocated = {.begun = 0}, freed = {.begun = 0};
  const uint64_t all = (1ull << 48) + 500, gone = (1ull << 48) - 500;
  for (int round = 0; round < 2; round++) { /* before and behind the end of the bytes */
    uint64_t more = round == 0 ? 0 : 1ull << 60;
    allocated.begun = allocated.ended = all;
    freed.begun = freed.ended = gone;
    allocated.objects_q16 = all << 16;
    freed.objects_q16 = gone << 16;
    allocated.bytes_q4 = (more + 50000) << 4;
    freed.bytes_q4 = (more - 50000) << 4;
    struct stack_sums sums = tally_read(&allocated, &freed);
    assert_int_equal(sums.in_use.samples, 1000);
    assert_int_equal(sums.in_use.objects_q16, 1000 << 16);
    assert_int_equal(sums.in_use.bytes_q4, 100000 << 4);
    struct stack_sums negative = tally_read(&freed, &allocated);
    assert_int_equal(negative.in_use.samples, 0);
    assert_int_equal(negative.in_use.objects_q16, 0);
    assert_int_equal(negative.in_use.bytes_q4, 0);
  }
}

CHILD_TEST(threads_make_one_bucket_a_stack)
{
  unit_region();
  unit_run_threads(THREADS, intern_all);
  for (unsigned i = 0; i < SHARED; i++)
    for (unsigned thread = 0; thread < THREADS; thread++)
      require(interned[thread][i] != 0 && interned[thread][i] == interned[0][i]);
  for (unsigned i = 1; i < SHARED; i++)
    require(interned[0][i] != interned[0][i - 1]);
  require(region_header()->stacks == SHARED);
}

static uint32_t busy_stack;
static _Atomic bool is_done;

static void *count_both_ways(void *number)
{
  struct sample_weight weight = {.size_bytes = 64 + (uintptr_t)number, .objects_q16 = 3 << 15};
  for (int i = 0; i < 100000; i++) {
    stacks_count_allocation(busy_stack, weight, NULL);
    stacks_count_free(busy_stack, weight);
  }
  return NULL;
}

static _Atomic uint64_t reads;

static void *read_all_the_time(void *unused)
{
  (void)unused;
  uint64_t last = 0;
  while (!is_done) {
    struct stack_sums sums = stacks_read(stack_at(busy_stack));
    require(sums.allocated.samples >= last && sums.in_use.samples <= sums.allocated.samples);
    require(sums.in_use.objects_q16 <= sums.allocated.objects_q16 && sums.in_use.bytes_q4 <= sums.allocated.bytes_q4);
    require(sums.in_use.variance_objects >= 0 && sums.in_use.variance_bytes >= 0);
    last = sums.allocated.samples;
    reads++;
  }
  return NULL;
}

CHILD_TEST(reading_while_others_count)
{
  pthread_t reader;
  uint64_t count = 0;
  unit_region();
  busy_stack = intern_number(5);
  require(pthread_create(&reader, NULL, read_all_the_time, NULL) == 0);
  do {
    unit_run_threads(THREADS, count_both_ways);
    count += THREADS * 100000;
  } while (reads < 10);
  is_done = true;
  require(pthread_join(reader, NULL) == 0);
  struct stack_sums sums = stacks_read(stack_at(busy_stack));
  require(sums.allocated.samples == count && sums.in_use.samples == 0);
  require(sums.allocated.objects_q16 == count * (3 << 15) && sums.in_use.objects_q16 == 0);
  require(sums.allocated.bytes_q4 == count / THREADS * 24 * (64 + 65 + 66 + 67) && sums.in_use.bytes_q4 == 0);
  require(sums.allocated.variance_objects == (double)count * 0.75);
}

/* No room. */

CHILD_TEST(full_table_counts_under_the_stand_in)
{
  unit_region();
  unit_limit(RLIMIT_AS, 0);
  uint64_t stacks = 0;
  uint32_t last = 0;
  while (region_header()->lost[LOSS_stack_table] == 0 && stacks < 100000)
    last = intern_number(stacks++);
  require(stacks > 20 && stacks < 100000);
  require(last != 0 && stack_at(last)->flags == (STACK_TABLE_FULL | cut_flags(CUT_no_memory)));
  require(stack_at(last)->record.constant_words == 0);
  uint64_t longest = stacks * (DEPTH - 3) + DEPTH - 4; /* where it fits, the last one would have, too */
  require(intern_number(longest) == last && region_header()->lost[LOSS_stack_table] == 2);
  require(intern_number(0) != last); /* what is known stays known */
}

CHILD_TEST(without_a_region_there_is_no_bucket)
{
  require(intern_number(1) == 0);
}

CHILD_TEST(alien_records_are_not_stacks)
{
  uint32_t granule;
  unit_region();
  uint32_t id = intern_number(1);
  struct region_record *alien = region_reserve(256, &granule);
  require(alien != NULL);
  region_publish(alien, REGION_RECORD_STACK, (uint64_t *)(alien + 1), 4, region_hash_words((uint64_t *)(alien + 1), 4));
  alien = region_reserve(32, &granule);
  region_publish(alien, REGION_RECORD_STACK, (uint64_t *)alien + 4, 0, region_hash_words(NULL, 0));
  require(count_records() == 2 && id != 0);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_stacks_share_a_bucket),          cmocka_unit_test(a_hundred_thousand_stacks),
      cmocka_unit_test(index_takes_few_bytes_a_stack),        cmocka_unit_test(counts_come_out_as_they_went_in),
      cmocka_unit_test(what_is_in_use_outlives_the_sums),     cmocka_unit_test(in_use_comes_back_to_exactly_zero),
      cmocka_unit_test(threads_make_one_bucket_a_stack),      cmocka_unit_test(reading_while_others_count),
      cmocka_unit_test(full_table_counts_under_the_stand_in), cmocka_unit_test(without_a_region_there_is_no_bucket),
      cmocka_unit_test(rounding_is_the_mean_of_those_noted),  cmocka_unit_test(alien_records_are_not_stacks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
