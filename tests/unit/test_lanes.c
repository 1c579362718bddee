/* SPDX-License-Identifier: MIT */
#include "core/lanes/lanes.h"

#include "core/lanes/own_stacks.h"
#include "core/profile.h"
#include "core/stacks.h"
#include "unit.h"

enum { THREADS_MAX = 500, NOTED_EACH = 256, LIMIT = 2048 };

static const uintptr_t pcs[] = {0x401000, 0x402000, 0x403000};
static const struct sample_weight one = {.size_bytes = 24, .objects_q16 = 65536};
static char object[64];

/* A thread of another lane does a job. Which lane a thread has is chance: those of ours stay until one has another. */

static struct job {
  unsigned our_lane;
  void (*work)(void);
  _Atomic bool is_done;
  pthread_barrier_t is_looked_at;
} job;

static void *work_in_other_lane(void *unused)
{
  (void)unused;
  bool is_other = lane_of_thread() != job.our_lane;
  if (is_other) {
    job.work();
    job.is_done = true;
  }
  pthread_barrier_wait(&job.is_looked_at);
  while (!job.is_done)
    usleep(1000);
  return NULL;
}

static void in_other_lane(void (*work)(void))
{
  static pthread_t threads[THREADS_MAX];
  unsigned count = 0;
  job.our_lane = lane_of_thread(), job.work = work, job.is_done = false;
  require(pthread_barrier_init(&job.is_looked_at, NULL, 2) == 0);
  for (; !job.is_done && count < THREADS_MAX; count++) {
    require(pthread_create(&threads[count], NULL, work_in_other_lane, NULL) == 0);
    pthread_barrier_wait(&job.is_looked_at);
  }
  require(job.is_done);
  while (count > 0)
    require(pthread_join(threads[--count], NULL) == 0);
}

/* Meeting. */

static bool met;

static void note_seven(void)
{
  met = lanes_meet_at(7);
}

CHILD_TEST(lanes_meet_at_one_stack)
{
  for (unsigned i = 0; i < 3; i++)
    require(!lanes_meet_at(7) && !lanes_meet_at(9));
  require(!lanes_have_met() && lanes_turn_mask == LANES_TURNS - 1);
  in_other_lane(note_seven);
  require(met && lanes_have_met() && lanes_turn_mask == LANES_TURNS_MET - 1);
  require(lanes_meet_at(7) && !lanes_meet_at(7) && !lanes_meet_at(9));
}

static void note_eight(void)
{
  met = lanes_meet_at(8);
}

/* Totals are shared by all. */
CHILD_TEST(lanes_have_met_at_different_stacks)
{
  require(!lanes_meet_at(7));
  in_other_lane(note_eight);
  require(!met && lanes_have_met());
}

static uint32_t stack, crowded;
static unsigned crowds;

static void note_crowd(uint32_t id)
{
  crowded = id, crowds++;
}

static void count_many(void)
{
  for (unsigned i = 0; i < NOTED_EACH; i++)
    stacks_count_allocation(stack, one, object);
}

CHILD_TEST(crowds_are_told_in_exact_mode)
{
  unit_region();
  stacks_when_threads_meet(note_crowd);
  require((stack = stacks_intern(pcs, 3, 0)) != 0);
  for (unsigned i = 0; i < 3; i++)
    count_many();
  require(crowds == 0);
  in_other_lane(count_many);
  require(crowds == 1 && crowded == stack);
}

static void count_sampled(void)
{
  for (unsigned i = 0; i < NOTED_EACH; i++)
    stacks_count_allocation(stack, (struct sample_weight){24, HALF_FIRST, 70000}, object);
}

CHILD_TEST(crowds_do_not_matter_where_samples_are_rare)
{
  unit_region();
  stacks_when_threads_meet(note_crowd);
  require((stack = stacks_intern(pcs, 3, 0)) != 0);
  count_sampled();
  in_other_lane(count_sampled);
  require(crowds == 0 && !lanes_have_met());
}

/* Own stacks. */

static uint32_t own;

static void part(void)
{
  own = stacks_part(stack);
  require(own_stack_of(stack) == own && stacks_part(stack) == own && stacks_part(own) == own);
}

static struct stack_record *record_of(uint32_t id)
{
  return (struct stack_record *)region_at(id);
}

CHILD_TEST(lane_gets_a_record_of_its_own)
{
  unit_region();
  require((stack = stacks_intern(pcs, 3, STACK_TRUNCATED)) != 0 && own_stack_of(stack) == stack);
  in_other_lane(part);
  require(own != stack && own_stack_of(stack) == stack && own_stacks_shared(own) == stack &&
          own_stacks_shared(stack) == 0);
  require(record_of(own)->flags == (STACK_TRUNCATED | STACK_OWN) && record_of(own)->record.constant_words == 3);
  require(memcmp(record_of(own)->pcs, pcs, sizeof pcs) == 0);
  require(stacks_intern(pcs, 3, STACK_TRUNCATED) == stack && region_header()->stacks == 1);
  uint32_t ours = stacks_part(stack);
  require(ours != stack && ours != own && own_stacks_shared(ours) == stack);
}

CHILD_TEST(own_records_are_few)
{
  uint32_t parted = 0;
  unit_region();
  for (uintptr_t i = 0; i < 3 * LIMIT; i++) {
    uint32_t id = stacks_intern(&(uintptr_t){0x400000 + i}, 1, 0), mine = stacks_part(id);
    require(id != 0 && mine != 0 && stacks_part(id) == mine);
    parted += mine != id;
  }
  require(parted > LIMIT / 2 && parted <= LIMIT);
}

CHILD_TEST(stand_in_and_what_was_inherited_stay_shared)
{
  unit_region();
  require((stack = stacks_intern(pcs, 3, 0)) != 0);
  uint64_t position = 0;
  uint32_t stand_in = (uint32_t)((char *)stacks_next(&position) - (char *)region_header()) / REGION_GRANULE_BYTES;
  require(stacks_is_stand_in(stand_in) && stacks_part(stand_in) == stand_in);
  stacks_inherit();
  require(stacks_part(stack) == stack);
}

/* In the profile they are one. */

static void count_own(void)
{
  stacks_count_allocation(own = stacks_part(stack), one, NULL);
}

static void check_profile(uint64_t of_first, uint64_t of_second)
{
  struct arena arena = {.chunks = NULL};
  struct profile profile;
  require(profile_build(&profile, &arena) && profile.sample_count == 2);
  require(profile.samples[0].values[PROFILE_ALLOC_OBJECTS] == (int64_t)of_first);
  require(profile.samples[0].values[PROFILE_INUSE_SPACE] == (int64_t)(of_first * one.size_bytes));
  require(profile.samples[0].values[PROFILE_PEAK_OBJECTS] == (int64_t)of_first);
  require(profile.samples[1].values[PROFILE_ALLOC_OBJECTS] == (int64_t)of_second);
  require(profile.totals[PROFILE_ALLOC_OBJECTS].estimate == (double)(of_first + of_second));
  arena_release(&arena);
}

CHILD_TEST(profile_has_one_sample_of_them)
{
  unit_region();
  region_header()->sample_interval_bytes = 1;
  require((stack = stacks_intern(pcs, 3, 0)) != 0);
  uint32_t other = stacks_intern(pcs, 2, 0);
  stacks_count_allocation(stack, one, NULL);
  stacks_count_allocation(other, one, NULL);
  in_other_lane(count_own);
  stacks_count_allocation(stacks_part(stack), one, NULL);
  check_profile(3, 1);
  require(stacks_exact_units() == 4 * (one.size_bytes + 1) && stacks_samples() == 4);
}

/* A child may have inherited of one thread alone. */
CHILD_TEST(profile_has_those_without_the_others)
{
  struct arena arena = {.chunks = NULL};
  struct profile profile;
  unit_region();
  region_header()->sample_interval_bytes = 1;
  require((stack = stacks_intern(pcs, 3, 0)) != 0);
  in_other_lane(count_own);
  stacks_inherit();
  stacks_count_inherited(own, one);
  require(profile_build(&profile, &arena) && profile.sample_count == 1);
  require(profile.samples[0].is_inherited && profile.samples[0].values[PROFILE_INUSE_OBJECTS] == 1);
  arena_release(&arena);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lanes_meet_at_one_stack),
      cmocka_unit_test(lanes_have_met_at_different_stacks),
      cmocka_unit_test(crowds_are_told_in_exact_mode),
      cmocka_unit_test(crowds_do_not_matter_where_samples_are_rare),
      cmocka_unit_test(lane_gets_a_record_of_its_own),
      cmocka_unit_test(own_records_are_few),
      cmocka_unit_test(stand_in_and_what_was_inherited_stay_shared),
      cmocka_unit_test(profile_has_one_sample_of_them),
      cmocka_unit_test(profile_has_those_without_the_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
