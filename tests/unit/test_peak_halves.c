/* SPDX-License-Identifier: MIT */
/* Is the peak unbiased, and does its interval hold, whatever a program does (docs/sampling.md, 9)? Programs that are made up: they hold
 * 32 MiB at most, which 64 samples or fewer stand for. Seeds are fixed. test_peak_halves [TRIALS]: of each program; make stat takes more. */
#include "core/peak.h"

#include "core/prng.h"
#include "core/sampler.h"
#include "core/stacks.h"
#include "unit.h"

#include <math.h>

enum { INTERVAL_BYTES = 512 << 10, FULL_BYTES = 32 << 20, STACKS = 5, STACKS_MANY = 60, OBJECTS_MAX = 1 << 14 };
enum { FEW_BYTES = 17 * INTERVAL_BYTES, TRIALS = 150, ROUNDS_OF_MANY = 10, ROUNDS_OF_FEW = 5 };

static unsigned trials = TRIALS;
static uint64_t random_state;
static uint32_t ids[STACKS_MANY];
static unsigned stacks_used;

struct object {
  struct sample_weight weight;
  uint32_t stack; /* 0: it was not sampled */
};

static struct object objects[OBJECTS_MAX];
static uint64_t bytes_now, bytes_at_most;

static unsigned below(unsigned limit)
{
  return (unsigned)(prng_next(&random_state) % limit);
}

static double uniform(void)
{
  return (double)(prng_next(&random_state) >> 11) * 0x1p-53;
}

static void allocate(struct object *object, uint64_t size_bytes)
{
  object->weight = sampler_weigh(size_bytes);
  object->stack = uniform() * (double)object->weight.objects_q16 < 65536 ? ids[below(stacks_used)] : 0;
  bytes_now += size_bytes;
  if (bytes_now > bytes_at_most)
    bytes_at_most = bytes_now;
  if (object->stack == 0)
    return;
  object->weight.halves = sampler_choose_halves(object->weight, below(1 << SAMPLER_COIN_BITS)) & HALF_BOTH;
  stacks_count_allocation(object->stack, object->weight, NULL);
}

static void release(struct object *object)
{
  bytes_now -= object->weight.size_bytes;
  if (object->stack != 0)
    stacks_count_free(object->stack, object->weight);
}

/* What programs do. Objects first, first + 1, ... are there; what comes back is one more than the last. */

static unsigned climb(unsigned first, uint64_t to_bytes, uint64_t size_bytes)
{
  while (bytes_now + size_bytes <= to_bytes)
    allocate(&objects[first++], size_bytes);
  require(first <= OBJECTS_MAX);
  return first;
}

static void exchange(unsigned count, unsigned times)
{
  while (times-- > 0) {
    struct object *object = &objects[below(count)];
    uint64_t size_bytes = object->weight.size_bytes;
    release(object);
    allocate(object, size_bytes);
  }
}

static void descend(unsigned first, unsigned count)
{
  while (count > first) {
    unsigned which = first + below(count - first);
    struct object last = objects[--count];
    release(&objects[which]);
    objects[which] = last;
  }
}

/* Holds all of it, and exchanges one object after the other. */
static void plateau(uint64_t size_bytes, unsigned times)
{
  unsigned count = climb(0, FULL_BYTES, size_bytes);
  exchange(count, times);
  descend(0, count);
}

/* Is up there for a moment. */
static void spike(uint64_t size_bytes, unsigned times)
{
  unsigned count = climb(0, FULL_BYTES / 4, size_bytes);
  exchange(count, times / 2);
  descend(count, climb(count, FULL_BYTES, size_bytes));
  exchange(count, times / 2);
  descend(0, count);
}

/* Climbs and descends as often as that. */
static void saw(uint64_t size_bytes, unsigned times)
{
  unsigned count = climb(0, FULL_BYTES / 4, size_bytes);
  while (times-- > 0)
    descend(count, climb(count, FULL_BYTES, size_bytes));
  descend(0, count);
}

/* These are looked at before anything is freed for good: they were killed, or never give back. */

static void killed(uint64_t size_bytes, unsigned times)
{
  exchange(climb(0, FULL_BYTES, size_bytes), times);
}

/* Gives back a tenth of it. */
static void killed_below(uint64_t size_bytes, unsigned times)
{
  unsigned count = climb(0, FULL_BYTES, size_bytes);
  exchange(count, times);
  descend(count - count / 10, count);
}

/* Grows to its end, and makes a number of others for each that stays, of which a few are there at a time. */
static void grow(uint64_t to_bytes, uint64_t size_bytes, unsigned others)
{
  enum { AT_A_TIME = 4 };
  struct object *passing = &objects[OBJECTS_MAX - AT_A_TIME];
  unsigned kept = 0, passed = 0;
  while (bytes_now + size_bytes <= to_bytes) {
    allocate(&objects[kept++], size_bytes);
    for (unsigned i = 0; i < others; i++, passed++) {
      if (passed >= AT_A_TIME)
        release(&passing[passed % AT_A_TIME]);
      allocate(&passing[passed % AT_A_TIME], size_bytes);
    }
  }
  for (unsigned i = 0; i < AT_A_TIME && i < passed; i++)
    release(&passing[i]);
  require(kept <= OBJECTS_MAX - AT_A_TIME);
}

static const struct program {
  const char *name;
  void (*run)(uint64_t size_bytes, unsigned times);
  uint64_t size_bytes;
  unsigned times, stacks;
} programs[] = {
    {"plateau", plateau, 4 << 10, 100, STACKS},
    {"plateau", plateau, 4 << 10, 100000, STACKS},
    {"plateau", plateau, 64 << 10, 100, STACKS},
    {"plateau", plateau, 64 << 10, 1000, STACKS},
    {"plateau", plateau, 64 << 10, 10000, STACKS},
    {"plateau", plateau, 64 << 10, 100000, STACKS},
    {"plateau", plateau, 512 << 10, 1000, STACKS},
    {"plateau", plateau, 1 << 20, 100, STACKS},
    {"plateau", plateau, 1 << 20, 10000, STACKS},
    {"spike", spike, 4 << 10, 100, STACKS},
    {"spike", spike, 4 << 10, 10000, STACKS},
    {"spike", spike, 64 << 10, 1000, STACKS},
    {"spike", spike, 1 << 20, 10000, STACKS},
    {"ramp", saw, 4 << 10, 1, STACKS},
    {"ramp", saw, 64 << 10, 1, STACKS},
    {"ramp", saw, 1 << 20, 1, STACKS},
    {"saw", saw, 4 << 10, 10, STACKS},
    {"saw", saw, 64 << 10, 10, STACKS},
    {"saw", saw, 64 << 10, 100, STACKS},
    {"saw", saw, 1 << 20, 100, STACKS},
    {"killed", killed, 4 << 10, 0, STACKS_MANY},
    {"killed", killed, 4 << 10, 1000, STACKS_MANY},
    {"killed", killed, 4 << 10, 10000, STACKS_MANY},
    {"killed", killed, 64 << 10, 100, STACKS_MANY},
    {"killed", killed, 64 << 10, 1000, STACKS_MANY},
    {"killed", killed, 512 << 10, 100, STACKS_MANY},
    {"killed", killed, 1 << 20, 30, STACKS_MANY},
    {"killed", killed, 1 << 20, 1000, STACKS},
    {"killed below", killed_below, 4 << 10, 0, STACKS_MANY},
    {"killed below", killed_below, 64 << 10, 100, STACKS_MANY},
    {"killed below", killed_below, 1 << 20, 30, STACKS_MANY},
};

/* What was seen of it, in parts of the truth. */
struct seen {
  unsigned trials, held, below_in_use,
      above; /* the latter: further than one in 10,000 should be (docs/sampling.md, "Limits") */
  double sum, squares;
};

static void begin_program(void)
{
  stacks_inherit();
  memset(region_header()->halves, 0, sizeof region_header()->halves);
  bytes_now = bytes_at_most = 0;
}

static void look(struct seen *seen)
{
  struct peak_moments moments = peak_moments(region_header());
  double bytes = 0, variance = 0, in_use = 0, in_use_variance = 0, truth = (double)bytes_at_most;
  for (unsigned i = 0; i < stacks_used; i++) {
    const struct stack_record *stack = (struct stack_record *)region_at(ids[i]);
    struct tally_sums sums = peak_read(stack, &moments), now = stacks_read(stack).in_use;
    bytes += (double)sums.bytes_q4 / 16;
    variance += sums.variance_bytes;
    in_use += (double)now.bytes_q4 / 16;
    in_use_variance += now.variance_bytes;
  }
  if (peak_is_now(&moments, in_use, bytes)) {
    bytes = in_use;
    variance = in_use_variance;
  }
  require(stacks_peak_bytes() - (uint64_t)bytes <= 1);
  seen->trials++;
  seen->below_in_use += bytes < in_use;
  seen->held += fabs(bytes - truth) <= 1.959964 * sqrt(variance) + 1;
  seen->above += bytes - truth > 3.719016 * sqrt(variance) + 1;
  seen->sum += bytes / truth;
  seen->squares += bytes / truth * (bytes / truth);
}

/* Beyond what is promised by more than four standard deviations of what so many trials allow? */
static bool is_right(const char *name, uint64_t size_bytes, unsigned times, const struct seen *seen)
{
  double mean = seen->sum / seen->trials, deviation = sqrt(fmax(0, seen->squares / seen->trials - mean * mean));
  double bias = mean - 1, held = (double)seen->held / seen->trials, count = sqrt(seen->trials);
  bool is_unbiased = fabs(bias) <= 0.02 + 4 * deviation / count;
  bool holds = held >= 0.93 - 4 * sqrt(0.93 * 0.07) / count && held <= 0.97 + 4 * sqrt(0.97 * 0.03) / count;
  if (trials > TRIALS || !is_unbiased || !holds)
    print_message("%-12s of %7lu bytes, %6u times: %+5.2f %%, %.1f %% of %u intervals hold, %u are far above\n", name,
                  (unsigned long)size_bytes, times, 100 * bias, 100 * held, seen->trials, seen->above);
  return is_unbiased && holds && seen->above <= seen->trials * 1e-4 + 4 * sqrt(seen->trials * 1e-4);
}

static void peak_is_unbiased(void **state)
{
  (void)state;
  bool is_all_right = true;
  struct seen all = {0};
  for (size_t i = 0; i < COUNT_OF(programs); i++) {
    const struct program *program = &programs[i];
    unsigned rounds = program->times > 10000 ? trials / ROUNDS_OF_MANY : trials;
    struct seen seen = {0};
    random_state = prng_derive(14, i);
    for (unsigned round = 0; round < rounds; round++) {
      begin_program();
      stacks_used = program->stacks;
      program->run(program->size_bytes, program->times);
      look(&seen);
    }
    is_all_right = is_right(program->name, program->size_bytes, program->times, &seen) && is_all_right;
    all = (struct seen){.trials = all.trials + seen.trials,
                        .held = all.held + seen.held,
                        .above = all.above + seen.above,
                        .sum = all.sum + seen.sum,
                        .squares = all.squares + seen.squares};
  }
  assert_true(is_right("all", 0, 0, &all) && is_all_right);
}

/* With 17 samples, of a program that ends where it has most: what passes by must not keep the peak below what is in use at the end. */
static void peak_of_what_grows_is_its_end(void **state)
{
  (void)state;
  static const struct {
    uint64_t size_bytes;
    unsigned others;
  } all[] = {{4 << 10, 0}, {4 << 10, 1}, {4 << 10, 10}, {16 << 10, 3}, {8 << 10, 1}};
  bool is_all_right = true;
  stacks_used = STACKS;
  for (size_t i = 0; i < COUNT_OF(all); i++) {
    struct seen seen = {0};
    random_state = prng_derive(15, i);
    for (unsigned round = 0; round < ROUNDS_OF_FEW * trials; round++) {
      begin_program();
      grow(FEW_BYTES, all[i].size_bytes, all[i].others);
      look(&seen);
    }
    is_all_right = is_right("grow", all[i].size_bytes, all[i].others, &seen) && seen.below_in_use * 20 <= seen.trials &&
                   is_all_right;
  }
  assert_true(is_all_right);
}

/* A half has its samples with the probability that twice the interval would give them, whether or not the other half has them. */
static void halves_are_independent(void **state)
{
  (void)state;
  static const uint64_t sizes[] = {
      100, 20000, INTERVAL_BYTES / 4, INTERVAL_BYTES, INTERVAL_BYTES * 2, INTERVAL_BYTES * 64};
  enum { COINS = 1 << SAMPLER_COIN_BITS };
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    struct sample_weight weight = sampler_weigh(sizes[i]);
    double p = 65536 / (double)weight.objects_q16, h = 1 - exp(-((double)sizes[i] + 1) / (2.0 * INTERVAL_BYTES));
    unsigned first = 0, second = 0, both = 0;
    for (unsigned coins = 0; coins < COINS; coins++) {
      unsigned halves = sampler_choose_halves(weight, coins);
      assert_true(halves == HALF_FIRST || halves == HALF_SECOND || halves == HALF_BOTH);
      first += (halves & HALF_FIRST) != 0;
      second += (halves & HALF_SECOND) != 0;
      both += halves == HALF_BOTH;
    }
    assert_int_equal(first, second);
    assert_true(fabs(first * p / COINS - h) < 0.001 && fabs(both * p / COINS - h * h) < 0.002);
  }
}

static int set_up(void **state)
{
  (void)state;
  unit_region();
  sampler_init(INTERVAL_BYTES, 1, true);
  for (uintptr_t i = 0; i < STACKS_MANY; i++)
    require((ids[i] = stacks_intern((uintptr_t[]){0x400000 + i, 0x500000}, 2, 0)) != 0);
  return 0;
}

int main(int count, char **arguments)
{
  (void)unit_directory();
  if (count > 1)
    trials = (unsigned)strtoul(arguments[1], NULL, 10);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(halves_are_independent),
      cmocka_unit_test(peak_is_unbiased),
      cmocka_unit_test(peak_of_what_grows_is_its_end),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
