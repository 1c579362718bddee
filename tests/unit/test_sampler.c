/* SPDX-License-Identifier: MIT */
#include "core/sampler.h"

#include "core/prng.h"
#include "core/process.h"
#include "unit.h"

#include <sys/mman.h>

#include <math.h>

static void start(uint64_t interval, uint64_t seed)
{
  memset(&this_thread, 0, sizeof this_thread);
  sampler_init(interval, seed, false);
  memset(&this_thread, 0, sizeof this_thread); /* a new thread */
  atomic_store(&sampler_mode, SAMPLER_ON);
}

/* A malloc hook. */
static struct sampler_decision allocate(size_t size)
{
  struct sampler_decision none = {.is_sampled = false, .units_counted = 0};
  return sampler_count_down(size) ? sampler_decide(size) : none;
}

static double probability(size_t size, uint64_t interval)
{
  return interval == 1 ? 1 : -expm1(-((double)size + 1) / (double)interval);
}

static void weights_are_one_over_p(void **state)
{
  (void)state;
  static const uint64_t intervals[] = {2, 3, 1000, 4096, 524288, CONFIG_SAMPLE_MAX};
  static const size_t sizes[] = {0, 1, 15, 16, 4095, 524287, 524288, 1 << 30, (size_t)1 << 46};
  for (size_t i = 0; i < COUNT_OF(intervals); i++)
    for (size_t j = 0; j < COUNT_OF(sizes); j++) {
      start(intervals[i], 1);
      struct sample_weight weight = sampler_weigh(sizes[j]);
      double expected = 65536 / probability(sizes[j], intervals[i]);
      assert_int_equal(weight.size_bytes, sizes[j]);
      assert_true(fabs((double)weight.objects_q16 - expected) <= 0.5 + expected * 1e-13);
      assert_true(weight.objects_q16 < 1ull << 53); /* the live table keeps the bits above */
    }
}

static void interval_of_one_records_everything(void **state)
{
  (void)state;
  start(1, 5);
  assert_int_equal(sampler_weigh(0).objects_q16, 65536);
  assert_int_equal(sampler_weigh(123456).objects_q16, 65536);
  for (size_t size = 0; size < 1000; size++) {
    struct sampler_decision decision = allocate(size);
    assert_true(decision.is_sampled);
    assert_int_equal(decision.units_counted, size + 1);
  }
  assert_int_equal(sampler_flush(), 0);
}

static void sizes_are_sampled_as_often_as_they_say(void **state)
{
  (void)state;
  enum { EACH = 300000 };
  static const size_t sizes[] = {0, 1, 7, 100, 999, 5000};
  unsigned sampled[COUNT_OF(sizes)] = {0};
  uint64_t order = 99;
  start(1000, 42);
  for (unsigned i = 0; i < EACH * COUNT_OF(sizes); i++) {
    size_t kind = prng_next(&order) % COUNT_OF(sizes);
    sampled[kind] += allocate(sizes[kind]).is_sampled;
  }
  for (size_t kind = 0; kind < COUNT_OF(sizes); kind++) {
    /* The number of allocations of a kind is random too: Poisson in good approximation. */
    double expected = EACH * probability(sizes[kind], 1000);
    assert_true(fabs(sampled[kind] - expected) < 4.5 * sqrt(expected));
  }
}

/* The estimates of many small runs, as errors in units of their own estimated standard error. */
static void estimates_and_variances_are_unbiased(void **state)
{
  (void)state;
  enum { RUNS = 3000, ALLOCATIONS = 500 };
  static const size_t sizes[] = {0, 10, 300, 2000};
  double error[2] = {0, 0}, squared[2] = {0, 0}, variance[2] = {0, 0};
  start(700, 31);
  for (int run = 0; run < RUNS; run++) {
    double truth[2] = {0, 0}, estimate[2] = {0, 0};
    for (int i = 0; i < ALLOCATIONS; i++) {
      size_t size = sizes[i % COUNT_OF(sizes)];
      truth[0] += 1, truth[1] += (double)size;
      if (!allocate(size).is_sampled)
        continue;
      double w = (double)sampler_weigh(size).objects_q16 * 0x1p-16, s = (double)size;
      estimate[0] += w, estimate[1] += s * w;
      variance[0] += w * (w - 1), variance[1] += s * s * w * (w - 1);
    }
    for (int k = 0; k < 2; k++) {
      error[k] += estimate[k] - truth[k];
      squared[k] += (estimate[k] - truth[k]) * (estimate[k] - truth[k]);
    }
  }
  for (int k = 0; k < 2; k++) {
    assert_true(fabs(error[k]) < 4 * sqrt(squared[k]));
    assert_true(fabs(squared[k] / variance[k] - 1) < 4 * sqrt(2.5 / RUNS)); /* heavier tails than the normal's 2 */
  }
}

static void exact_units_add_up(void **state)
{
  (void)state;
  uint64_t random = 3, truth = 0, counted = 0, samples = 0;
  start(4096, 8);
  for (int i = 0; i < 100000; i++) {
    size_t size = prng_next(&random) % 500;
    truth += size + 1;
    struct sampler_decision decision = allocate(size);
    assert_true(decision.is_sampled || decision.units_counted == 0);
    counted += decision.units_counted;
    samples += decision.is_sampled;
    if (i % 1000 == 0) {
      counted += sampler_flush();
      assert_int_equal(counted, truth);
      assert_int_equal(sampler_flush(), 0);
    }
  }
  counted += sampler_flush();
  assert_int_equal(counted, truth);
  assert_true(samples > 1000);
}

static void huge_sizes_wrap_to_the_right_count(void **state)
{
  (void)state;
  start(524288, 9);
  (void)allocate(100);
  (void)sampler_flush();
  struct sampler_decision decision = allocate(SIZE_MAX - 4096);
  assert_true(decision.is_sampled);
  assert_int_equal(decision.units_counted, SIZE_MAX - 4095);
  (void)allocate(10);
  assert_true(this_thread.countdown < 64 * 524288);
}

static unsigned samples_of(unsigned allocations, size_t size)
{
  unsigned sampled = 0;
  for (unsigned i = 0; i < allocations; i++)
    sampled += allocate(size).is_sampled;
  return sampled;
}

static void probes_tell_whether_a_hook_was_entered(void **state)
{
  (void)state;
  start(100, 77);
  (void)allocate(0);
  for (int i = 0; i < 1000; i++) {
    uint64_t before = this_thread.countdown, begun = sampler_probe_begin();
    bool expected = i % 2 == 0;
    if (expected)
      assert_false(allocate((size_t)i).is_sampled);
    assert_int_equal(sampler_probe_end(begun), expected);
    assert_int_equal(this_thread.countdown, before);
  }
}

/* One that was left by an exception delays the next sample, no more. */
static void probe_that_never_ends(void **state)
{
  (void)state;
  start(100, 78);
  (void)allocate(0);
  (void)sampler_probe_begin();
  unsigned late = samples_of(SAMPLER_PROBE_UNITS / 100, 99);
  assert_in_range(late, 0, 50);
  assert_true(samples_of(1000, 99) > 500);
}

static void stopping_and_starting(void **state)
{
  (void)state;
  uint64_t truth = 0, counted = 0, most = 0;
  start(1000, 21);
  for (int phase = 0; phase < 200; phase++) {
    bool is_on = phase % 2 == 0;
    atomic_store(&sampler_mode, is_on ? SAMPLER_ON : SAMPLER_STOPPED);
    for (int i = 0; i < 500; i++) {
      struct sampler_decision decision = allocate(99);
      truth += is_on ? 100 : 0;
      counted += decision.units_counted;
      most = this_thread.interval > most ? this_thread.interval : most;
      assert_true(is_on || !decision.is_sampled);
    }
  }
  assert_true(fabs((double)counted - (double)truth) < 200.0 * (double)most);
  assert_true(fabs((double)counted / (double)truth - 1) < 0.05);
  atomic_store(&sampler_mode, SAMPLER_STOPPED);
  assert_int_equal(sampler_flush(), 0);
}

static void before_the_constructor_and_when_inert(void **state)
{
  (void)state;
  start(1, 1);
  atomic_store(&sampler_mode, SAMPLER_STARTING);
  assert_int_equal(samples_of(10, 100), 0);
  assert_int_equal(this_thread.countdown, 0);
  atomic_store(&sampler_mode, SAMPLER_ON);
  assert_int_equal(samples_of(10, 100), 10);
  atomic_store(&sampler_mode, SAMPLER_INERT);
  assert_int_equal(samples_of(10, 100), 0);
  atomic_store(&sampler_mode, SAMPLER_ON);
  assert_int_equal(samples_of(1000, 1 << 20), 0); /* inert is for good */
}

static uint64_t intervals_of_threads[4];

static void *first_interval(void *number)
{
  (void)allocate(0);
  intervals_of_threads[(uintptr_t)number] = this_thread.interval;
  return NULL;
}

static void threads_have_streams_of_their_own(void **state)
{
  (void)state;
  start((uint64_t)1 << 30, 4);
  for (uintptr_t i = 0; i < 4; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, first_interval, (void *)i), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (uintptr_t j = 0; j < i; j++)
      assert_int_not_equal(intervals_of_threads[i], intervals_of_threads[j]);
  }
  uint64_t first_of_seed_4 = intervals_of_threads[0];
  start((uint64_t)1 << 30, 4); /* the same seed: the same run */
  (void)allocate(0);
  assert_int_equal(this_thread.interval, first_of_seed_4);
}

/* Two draws of a child, as its exit status would not hold them. */
static uint64_t *drawn;

static void draw_in_child(void)
{
  process_was_forked();
  (void)sampler_decide(1 << 20);
  drawn[0] = this_thread.interval;
  this_thread = (struct thread){.countdown = 0}; /* another thread */
  (void)sampler_decide(1 << 20);
  drawn[1] = this_thread.interval;
}

static void draw_in_child_of(bool is_repeatable, uint64_t result[2])
{
  this_thread = (struct thread){.countdown = 0};
  sampler_init((uint64_t)1 << 30, 4, is_repeatable);
  (void)sampler_decide(1 << 20);
  require(unit_fork(draw_in_child) == UNIT_PASSED);
  memcpy(result, drawn, 2 * sizeof *result);
  (void)sampler_decide(1 << 20);
}

static void children_have_streams_of_their_own(void **state)
{
  uint64_t child[2], other[2];
  (void)state;
  drawn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(drawn != MAP_FAILED);
  draw_in_child_of(false, child);
  assert_int_not_equal(child[0], this_thread.interval);
  draw_in_child_of(false, other);
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      assert_int_not_equal(child[i], other[j]);
  draw_in_child_of(true, child); /* a seed was given: as its parent would have gone on */
  assert_int_equal(child[0], this_thread.interval);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_are_one_over_p),
      cmocka_unit_test(interval_of_one_records_everything),
      cmocka_unit_test(sizes_are_sampled_as_often_as_they_say),
      cmocka_unit_test(estimates_and_variances_are_unbiased),
      cmocka_unit_test(exact_units_add_up),
      cmocka_unit_test(huge_sizes_wrap_to_the_right_count),
      cmocka_unit_test(probes_tell_whether_a_hook_was_entered),
      cmocka_unit_test(probe_that_never_ends),
      cmocka_unit_test(stopping_and_starting),
      cmocka_unit_test(before_the_constructor_and_when_inert),
      cmocka_unit_test(threads_have_streams_of_their_own),
      cmocka_unit_test(children_have_streams_of_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
