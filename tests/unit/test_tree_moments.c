/* SPDX-License-Identifier: MIT */
/* Is the peak of several processes unbiased, and does its interval hold (docs/sampling.md, 9)? Processes that are made up: 2 to 4 of
 * them hold 32 MiB together at most, which 64 samples or fewer stand for, and are looked at from time to time. The truth is what the same
 * looks find where every allocation is counted. Seeds are fixed. test_tree_moments [TRIALS]: of each; make stat takes more. */
#include "tools/run/tree_moments.h"

#include "core/prng.h"
#include "core/sampler.h"
#include "unit.h"

#include <math.h>

enum { INTERVAL_BYTES = 512 << 10, FULL_BYTES = 32 << 20, OBJECTS_MAX = 1 << 14, PROCESSES_MAX = 4, TRIALS = 150 };

static unsigned trials = TRIALS;
static uint64_t random_state;

struct object {
  uint64_t size_bytes;
  struct sample_weight weight;
  unsigned halves;
};

/* What is known of a process from outside: what its halves hold, and what the other one held at the moment of each. */
struct process {
  struct object objects[OBJECTS_MAX];
  unsigned count;
  struct tree_halves now, at_moment[HALVES];
  bool is_over[HALVES], has_moved[HALVES];
};

static struct process estimated[PROCESSES_MAX], exact[PROCESSES_MAX];
static struct tree_moments moments, true_moments;
static unsigned process_count, events, events_a_look;

static unsigned below(unsigned limit)
{
  return (unsigned)(prng_next(&random_state) % limit);
}

static double uniform(void)
{
  return (double)(prng_next(&random_state) >> 11) * 0x1p-53;
}

/* As core/peak.c does it. */
static struct region_half share_of(const struct object *object)
{
  double w = (double)object->weight.objects_q16 * 0x1p-16, s = (double)object->size_bytes, g = w + sqrt(w * (w - 1));
  return (struct region_half){floor(s * g * 8 + 0.5) / 16, s * s * g * (g - 1) / 4};
}

static void count_allocation(struct process *process, unsigned halves, struct region_half share)
{
  for (unsigned half = 0; half < HALVES; half++)
    if ((halves >> half & 1) != 0) {
      process->now.half[half].bytes += share.bytes;
      process->now.half[half].variance += share.variance;
    }
  for (unsigned half = 0; half < HALVES; half++)
    if (process->now.half[half].bytes > process->at_moment[half].half[half].bytes) {
      process->at_moment[half] = process->now;
      process->is_over[half] = false;
      process->has_moved[half] = true;
    } else if (!process->is_over[half]) {
      process->at_moment[half].half[1 - half] = process->now.half[1 - half];
    }
}

static void count_free(struct process *process, unsigned halves, struct region_half share)
{
  for (unsigned half = 0; half < HALVES; half++)
    process->is_over[half] = true;
  for (unsigned half = 0; half < HALVES; half++)
    if ((halves >> half & 1) != 0) {
      process->now.half[half].bytes -= share.bytes;
      process->now.half[half].variance -= share.variance;
    }
}

static void look_at(struct tree_moments *found, struct process *processes)
{
  struct tree_halves all = {0};
  for (unsigned i = 0; i < process_count; i++)
    tree_halves_add(&all, &processes[i].now, 1);
  for (unsigned chooser = 0; chooser < HALVES; chooser++)
    for (unsigned i = 0; i < process_count; i++) {
      struct tree_halves held = all;
      tree_halves_add(&held, &processes[i].now, -1);
      tree_halves_add(&held, &processes[i].at_moment[chooser], 1);
      double highest = processes[i].at_moment[chooser].half[chooser].bytes;
      if (processes[i].has_moved[chooser] && processes[i].now.half[chooser].bytes < highest)
        tree_moments_offer(found, chooser, &held);
      processes[i].has_moved[chooser] = false;
    }
  tree_moments_look(found, &all);
}

static void step(void)
{
  if (++events % events_a_look != 0)
    return;
  look_at(&moments, estimated);
  look_at(&true_moments, exact);
}

static void allocate(unsigned which, uint64_t size_bytes)
{
  require(estimated[which].count < OBJECTS_MAX);
  struct object *object = &estimated[which].objects[estimated[which].count++];
  *object = (struct object){.size_bytes = size_bytes, .weight = sampler_weigh(size_bytes)};
  if (uniform() * (double)object->weight.objects_q16 < 65536) {
    object->halves = sampler_choose_halves(object->weight, below(1 << SAMPLER_COIN_BITS)) & HALF_BOTH;
    count_allocation(&estimated[which], object->halves, share_of(object));
  }
  count_allocation(&exact[which], HALF_BOTH, (struct region_half){(double)size_bytes / 2, 0});
  step();
}

static void release_any(unsigned which)
{
  struct process *process = &estimated[which];
  struct object *object = &process->objects[below(process->count)];
  if (object->halves != 0)
    count_free(process, object->halves, share_of(object));
  count_free(&exact[which], HALF_BOTH, (struct region_half){(double)object->size_bytes / 2, 0});
  *object = process->objects[--process->count];
  step();
}

/* What they do: all together hold no more than `bytes`. */

static void climb(uint64_t bytes, uint64_t size_bytes)
{
  for (;;) {
    unsigned objects = 0;
    for (unsigned i = 0; i < process_count; i++)
      objects += estimated[i].count;
    if ((objects + 1) * size_bytes > bytes)
      return;
    allocate(below(process_count), size_bytes);
  }
}

static void descend(unsigned to_objects)
{
  for (unsigned which = 0; which < process_count; which++)
    while (estimated[which].count > to_objects)
      release_any(which);
}

static void exchange(unsigned times, uint64_t size_bytes)
{
  while (times-- > 0) {
    unsigned which = below(process_count);
    if (estimated[which].count == 0)
      continue;
    release_any(which);
    allocate(which, size_bytes);
  }
}

static void plateau(uint64_t size_bytes, unsigned times)
{
  climb(FULL_BYTES, size_bytes);
  exchange(times, size_bytes);
  descend(0);
}

static void spike(uint64_t size_bytes, unsigned times)
{
  climb(FULL_BYTES / 4, size_bytes);
  exchange(times / 2, size_bytes);
  climb(FULL_BYTES, size_bytes);
  descend((unsigned)(FULL_BYTES / 4 / size_bytes / process_count));
  exchange(times / 2, size_bytes);
  descend(0);
}

static void saw(uint64_t size_bytes, unsigned times)
{
  while (times-- > 0) {
    climb(FULL_BYTES, size_bytes);
    descend(0);
  }
}

static const struct program {
  const char *name;
  void (*run)(uint64_t size_bytes, unsigned times);
  uint64_t size_bytes;
  unsigned times, processes, events_a_look;
} programs[] = {
    {"plateau", plateau, 4 << 10, 100, 2, 64},
    {"plateau", plateau, 4 << 10, 10000, 4, 64},
    {"plateau", plateau, 64 << 10, 1000, 2, 16},
    {"plateau", plateau, 64 << 10, 10000, 3, 16},
    {"plateau", plateau, 512 << 10, 1000, 3, 8},
    {"plateau", plateau, 1 << 20, 10000, 2, 8},
    {"plateau", plateau, 64 << 10, 10000, 1, 16},
    {"spike", spike, 4 << 10, 100, 2, 16},
    {"spike", spike, 4 << 10, 10000, 4, 16},
    {"spike", spike, 64 << 10, 1000, 3, 4},
    {"spike", spike, 1 << 20, 1000, 2, 1},
    {"ramp", saw, 4 << 10, 1, 2, 16},
    {"ramp", saw, 64 << 10, 1, 4, 4},
    {"ramp", saw, 1 << 20, 1, 3, 1},
    {"saw", saw, 4 << 10, 10, 3, 64},
    {"saw", saw, 64 << 10, 100, 2, 8},
};

struct seen {
  unsigned trials, held;
  double sum, squares, highest;
};

static void begin(const struct program *program)
{
  memset(estimated, 0, sizeof estimated);
  memset(exact, 0, sizeof exact);
  moments = true_moments = (struct tree_moments){0};
  process_count = program->processes;
  events_a_look = program->events_a_look;
  events = 0;
}

static void judge(struct seen *seen)
{
  struct region_half peak = tree_moments_peak(&moments), truth = tree_moments_peak(&true_moments);
  require(truth.variance == 0 && truth.bytes > 0);
  double part = peak.bytes / truth.bytes;
  seen->trials++;
  seen->held += fabs(peak.bytes - truth.bytes) <= 1.959964 * sqrt(peak.variance) + 1;
  seen->sum += part;
  seen->squares += part * part;
  seen->highest += (moments.chosen[0] + moments.chosen[1]) / truth.bytes;
}

/* Beyond what is promised by more than four standard deviations of what so many trials allow? */
static bool is_right(const struct program *program, const struct seen *seen)
{
  double mean = seen->sum / seen->trials, deviation = sqrt(fmax(0, seen->squares / seen->trials - mean * mean));
  double bias = mean - 1, held = (double)seen->held / seen->trials, count = sqrt(seen->trials);
  bool is_unbiased = fabs(bias) <= 0.02 + 4 * deviation / count;
  bool holds = held >= 0.93 - 4 * sqrt(0.93 * 0.07) / count && held <= 0.97 + 4 * sqrt(0.97 * 0.03) / count;
  if (trials > TRIALS || !is_unbiased || !holds)
    print_message(
        "%-8s %u processes, %7lu bytes, %5u times: %+5.2f %%, %.1f %% of %u intervals hold; the highest is %+5.2f %%\n",
        program != NULL ? program->name : "all", program != NULL ? program->processes : 0,
        program != NULL ? (unsigned long)program->size_bytes : 0, program != NULL ? program->times : 0, 100 * bias,
        100 * held, seen->trials, 100 * (seen->highest / seen->trials - 1));
  return is_unbiased && holds;
}

static void peak_is_unbiased(void **state)
{
  (void)state;
  bool is_all_right = true;
  struct seen all = {0};
  for (size_t i = 0; i < COUNT_OF(programs); i++) {
    struct seen seen = {0};
    random_state = prng_derive(15, i);
    for (unsigned round = 0; round < trials; round++) {
      begin(&programs[i]);
      programs[i].run(programs[i].size_bytes, programs[i].times);
      judge(&seen);
    }
    is_all_right = is_right(&programs[i], &seen) && is_all_right;
    all = (struct seen){all.trials + seen.trials, all.held + seen.held, all.sum + seen.sum, all.squares + seen.squares,
                        all.highest + seen.highest};
  }
  assert_true(is_right(NULL, &all) && is_all_right);
}

static struct tree_halves halves(double first, double second)
{
  return (struct tree_halves){{{first, 0}, {second, 0}}};
}

/* Each half's highest is read by the other, there. */
static void one_half_reads_what_the_other_chose(void **state)
{
  (void)state;
  struct tree_moments found = {0};
  const struct tree_halves at_looks[] = {halves(5, 1), halves(3, 4), halves(2, 2)};
  for (size_t i = 0; i < COUNT_OF(at_looks); i++)
    tree_moments_look(&found, &at_looks[i]);
  assert_true(tree_moments_peak(&found).bytes == 1 + 3);
}

/* Where halves are the same, it is the highest. */
static void exact_values_stay_exact(void **state)
{
  (void)state;
  struct tree_moments found = {0};
  const struct tree_halves at_looks[] = {halves(5, 5), halves(8, 8), halves(7, 7)};
  for (size_t i = 0; i < COUNT_OF(at_looks); i++)
    tree_moments_look(&found, &at_looks[i]);
  assert_true(tree_moments_peak(&found).bytes == 16 && tree_moments_peak(&found).variance == 0);
}

static int set_up(void **state)
{
  (void)state;
  unit_region();
  sampler_init(INTERVAL_BYTES, 1, true);
  return 0;
}

int main(int count, char **arguments)
{
  (void)unit_directory();
  if (count > 1)
    trials = (unsigned)strtoul(arguments[1], NULL, 10);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_half_reads_what_the_other_chose),
      cmocka_unit_test(exact_values_stay_exact),
      cmocka_unit_test(peak_is_unbiased),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
