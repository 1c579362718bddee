/* SPDX-License-Identifier: MIT */
#include "core/peak.h"

#include "core/lanes/lanes.h"
#include "core/lanes/spares.h"
#include "core/prng.h"
#include "core/stacks.h"
#include "unit.h"

#include <math.h>
#include <semaphore.h>
#include <ucontext.h>

enum { STACKS = 24, LIVE = 2000, THREADS = 4 };

static uint32_t ids[STACKS];

static void make_stacks(void)
{
  unit_region();
  region_header()->sample_interval_bytes = 1; /* samples are not halved, but where a test says so */
  for (uintptr_t i = 0; i < STACKS; i++)
    require((ids[i] = stacks_intern((uintptr_t[]){0x400000 + i, 0x500000}, 2, 0)) != 0);
}

static struct stack_record *stack_at(unsigned number)
{
  return (struct stack_record *)region_at(ids[number]);
}

static struct tally_sums at_peak(unsigned number)
{
  struct peak_moments moments = peak_moments(region_header());
  return peak_read(stack_at(number), &moments);
}

static struct peak *slots_of(struct stack_record *stack)
{
  return stack->halves[0].peaks;
}

static uint64_t total_q4(void)
{
  return region_header()->halves[0].in_use_bytes_q4 - spares_of_all();
}

static uint64_t peak_q4(void)
{
  return peak_moments(region_header()).peaks[0];
}

static uint64_t bytes_of_all_at_peak(void)
{
  uint64_t bytes = 0;
  for (unsigned i = 0; i < STACKS; i++)
    bytes += at_peak(i).bytes_q4;
  return bytes;
}

static struct sample_weight bytes(uint64_t size)
{
  return (struct sample_weight){.size_bytes = size, .objects_q16 = 65536};
}

/* A thread of another lane, which does what it is told. */

static struct helper {
  sem_t is_told, is_done;
  void (*job)(void);
  unsigned lane;
} * helper;

static void *help(void *argument)
{
  struct helper *self = argument;
  for (self->lane = lane_of_thread();; self->job()) {
    sem_post(&self->is_done);
    while (sem_wait(&self->is_told) != 0)
      ;
  }
  return NULL;
}

/* From a handler, too. */
static void let_help(void (*job)(void))
{
  helper->job = job;
  sem_post(&helper->is_told);
  while (sem_wait(&helper->is_done) != 0)
    ;
}

/* The lane is chance: those that have ours stay idle. */
static void keep_lanes_apart(void)
{
  enum { ATTEMPTS = 500 };
  atomic_store(&lanes_met, true);
  for (unsigned i = 0; i < ATTEMPTS && (helper == NULL || helper->lane == lane_of_thread()); i++) {
    pthread_t id;
    require((helper = calloc(1, sizeof *helper)) != NULL);
    require(sem_init(&helper->is_told, 0, 0) == 0 && sem_init(&helper->is_done, 0, 0) == 0);
    require(pthread_create(&id, NULL, help, helper) == 0);
    while (sem_wait(&helper->is_done) != 0)
      ;
  }
  require(helper->lane != lane_of_thread());
}

/* The sums that a stack should have, by a program too simple to be wrong. */

struct model_sums {
  uint64_t objects_q16, bytes_q4;
  double allocated_bytes, freed_bytes; /* variances */
};

struct object {
  unsigned stack;
  struct sample_weight weight;
};

static struct model {
  struct model_sums stacks[STACKS], stacks_at_peak[STACKS];
  uint64_t total_q4, peak_q4;
  bool is_peak_over;
  struct object live[LIVE];
  unsigned live_count;
} model;

static void model_count(struct object object, bool is_allocation)
{
  struct model_sums *sums = &model.stacks[object.stack];
  double w = (double)object.weight.objects_q16 / 65536, s = (double)object.weight.size_bytes;
  uint64_t bytes_q4 = (uint64_t)(s * w * 16 + 0.5), sign = is_allocation ? 1 : -1ull;
  sums->objects_q16 += sign * object.weight.objects_q16;
  sums->bytes_q4 += sign * bytes_q4;
  *(is_allocation ? &sums->allocated_bytes : &sums->freed_bytes) += s * s * w * (w - 1);
  model.total_q4 += sign * bytes_q4;
  bool is_peak = model.total_q4 > model.peak_q4;
  model.is_peak_over = !is_allocation || (model.is_peak_over && !is_peak);
  if (is_peak)
    model.peak_q4 = model.total_q4;
  if (!model.is_peak_over)
    memcpy(model.stacks_at_peak, model.stacks, sizeof model.stacks);
}

static uint64_t size_limit_bytes = 100000;

static void allocate(uint64_t *random)
{
  struct object object = {.stack = (unsigned)(prng_next(random) % STACKS),
                          .weight = {.size_bytes = prng_next(random) % size_limit_bytes,
                                     .objects_q16 = 65536 + prng_next(random) % (1 << 20)}};
  if (prng_next(random) % 4 == 0)
    object.weight = bytes(prng_next(random) % 3);
  stacks_count_allocation(ids[object.stack], object.weight, NULL);
  model_count(object, true);
  model.live[model.live_count++] = object;
}

static void release(uint64_t *random)
{
  unsigned which = (unsigned)(prng_next(random) % model.live_count);
  struct object object = model.live[which];
  stacks_count_free(ids[object.stack], object.weight);
  model_count(object, false);
  model.live[which] = model.live[--model.live_count];
}

static double or_zero(double difference)
{
  return difference > 0 ? difference : 0;
}

static void must_agree(void)
{
  require(total_q4() == model.total_q4 && peak_q4() == model.peak_q4);
  for (unsigned i = 0; i < STACKS; i++) {
    const struct model_sums *right = &model.stacks_at_peak[i];
    struct tally_sums sums = at_peak(i);
    require(sums.objects_q16 == right->objects_q16 && sums.bytes_q4 == right->bytes_q4);
    if (right->objects_q16 == 0)
      continue; /* what is left of the doubles are rounding errors */
    require(sums.variance_bytes == or_zero(right->allocated_bytes - right->freed_bytes));
  }
  require(bytes_of_all_at_peak() == model.peak_q4);
}

static uint64_t random_steps = 7;

static void allocate_once(void)
{
  allocate(&random_steps);
}

static void release_once(void)
{
  release(&random_steps);
}

static void go_up_and_down_in_tides(void (*let)(void (*step)(void)))
{
  must_agree();
  for (unsigned step = 0; step < 40000; step++) {
    /* Tides: how full it may get changes all the time, so that there are long ways down and up, and new peaks late. */
    unsigned tide = 1 + (unsigned)(LIVE / 2 * (1 + step / 20000) * ((step / 1500) % 4) / 4);
    let(model.live_count < tide || model.live_count == 0 ? allocate_once : release_once);
    if (step % 37 == 0)
      must_agree();
  }
  must_agree();
  while (model.live_count > 0)
    let(release_once);
  must_agree();
  require(total_q4() == 0 && model.peak_q4 > 0);
}

static void do_alone(void (*step)(void))
{
  step();
}

CHILD_TEST(one_thread_is_exact)
{
  make_stacks();
  go_up_and_down_in_tides(do_alone);
}

static unsigned steps_with_spares;

/* Turning to the other thread takes its time. */
static void do_in_turn(void (*step)(void))
{
  (prng_next(&random_steps) % 16 == 0 ? let_help : do_alone)(step);
  steps_with_spares += spares_of_all() > 0;
}

CHILD_TEST(threads_in_turn_are_exact)
{
  make_stacks();
  keep_lanes_apart();
  size_limit_bytes = 1000;
  go_up_and_down_in_tides(do_in_turn);
  require(steps_with_spares > 10000);
}

/* Halves: what each held when the other one's total was highest, and until the next free. */

static struct half_model {
  uint64_t total_q4, peak_q4, stacks[STACKS], at_peak_of_other[STACKS];
  bool is_peak_over, has_changed[STACKS]; /* the latter: since the peak of the other */
} halves[HALVES];

static uint64_t in_use_q4[STACKS]; /* of all samples */

static void halves_count(struct object object, bool is_allocation)
{
  double w = (double)object.weight.objects_q16 / 65536, s = (double)object.weight.size_bytes;
  uint64_t bytes_q4 = (uint64_t)(s * (w + sqrt(w * (w - 1))) / 2 * 16 + 0.5), sign = is_allocation ? 1 : -1ull;
  in_use_q4[object.stack] += sign * tally_bytes_q4(object.weight);
  for (unsigned i = 0; i < HALVES; i++) {
    if ((object.weight.halves >> i & 1) != 0) {
      halves[i].stacks[object.stack] += sign * bytes_q4;
      halves[i].total_q4 += sign * bytes_q4;
    }
    bool is_peak = halves[i].total_q4 > halves[i].peak_q4;
    halves[i].is_peak_over = !is_allocation || (halves[i].is_peak_over && !is_peak);
    if (is_peak)
      halves[i].peak_q4 = halves[i].total_q4;
  }
  for (unsigned i = 0; i < HALVES; i++) {
    halves[i].has_changed[object.stack] |= (object.weight.halves >> i & 1) != 0;
    if (halves[1 - i].is_peak_over)
      continue;
    memcpy(halves[i].at_peak_of_other, halves[i].stacks, sizeof halves[i].stacks);
    memset(halves[i].has_changed, 0, sizeof halves[i].has_changed);
  }
}

static void halves_must_agree(void)
{
  struct peak_moments moments = peak_moments(region_header());
  require(moments.peaks[0] == halves[0].peak_q4 && moments.peaks[1] == halves[1].peak_q4);
  uint64_t all = 0, in_use = 0;
  for (unsigned i = 0; i < STACKS; i++) {
    struct tally_sums sums = at_peak(i);
    bool has_changed = halves[0].has_changed[i] || halves[1].has_changed[i];
    uint64_t of_halves = halves[0].at_peak_of_other[i] + halves[1].at_peak_of_other[i];
    require(sums.bytes_q4 == (has_changed ? of_halves : in_use_q4[i]));
    require((sums.bytes_q4 > 0) == (sums.variance_bytes > 0) && sums.samples == 0);
    all += sums.bytes_q4;
    in_use += in_use_q4[i];
  }
  require(stacks_peak_bytes() == ((moments.is_near && in_use > all ? in_use : all) + 8) >> 4);
}

static void count_allocation(uint32_t stack, struct sample_weight weight)
{
  stacks_count_allocation(stack, weight, NULL);
}

CHILD_TEST(each_half_is_read_at_the_peak_of_the_other)
{
  uint64_t random = 11;
  make_stacks();
  region_header()->sample_interval_bytes = 1 << 19;
  for (unsigned step = 0; step < 40000; step++) {
    unsigned tide = 1 + (unsigned)(LIVE / 2 * (1 + step / 20000) * ((step / 1500) % 4) / 4);
    bool is_allocation = model.live_count == 0 || model.live_count < tide;
    unsigned which = is_allocation ? model.live_count++ : (unsigned)(prng_next(&random) % model.live_count);
    if (is_allocation)
      model.live[which] = (struct object){.stack = (unsigned)(prng_next(&random) % STACKS),
                                          .weight = {.size_bytes = 1 + prng_next(&random) % 100000,
                                                     .halves = 1 + prng_next(&random) % 3,
                                                     .objects_q16 = 65537 + prng_next(&random) % (1 << 20)}};
    struct object object = model.live[which];
    (is_allocation ? count_allocation : stacks_count_free)(ids[object.stack], object.weight);
    halves_count(object, is_allocation);
    if (!is_allocation)
      model.live[which] = model.live[--model.live_count];
    if (step % 37 == 0)
      halves_must_agree();
  }
  require(halves[0].peak_q4 > 0 && halves[1].peak_q4 > 0);
}

CHILD_TEST(value_at_the_peak_stays)
{
  make_stacks();
  stacks_count_allocation(ids[0], bytes(100), NULL);
  stacks_count_allocation(ids[1], bytes(50), NULL); /* the peak: 150 */
  stacks_count_free(ids[0], bytes(100));
  require(at_peak(0).bytes_q4 == 1600 && at_peak(0).objects_q16 == 65536 && at_peak(1).bytes_q4 == 800);
  stacks_count_allocation(ids[2], bytes(100), NULL); /* as high, but not higher */
  require(at_peak(0).bytes_q4 == 1600 && at_peak(2).bytes_q4 == 0);
  stacks_count_allocation(ids[2], bytes(1), NULL); /* 151 */
  require(at_peak(0).bytes_q4 == 0 && at_peak(1).bytes_q4 == 800 && at_peak(2).bytes_q4 == 1616);
  stacks_count_allocation(ids[3], bytes(0), NULL);
  require(at_peak(3).objects_q16 == 65536 && bytes_of_all_at_peak() == 151 * 16); /* nothing was freed since */
  stacks_count_free(ids[3], bytes(0));
  stacks_count_allocation(ids[3], bytes(0), NULL);
  stacks_count_allocation(ids[3], bytes(0), NULL);
  require(at_peak(3).objects_q16 == 65536 && bytes_of_all_at_peak() == 151 * 16);
  stacks_inherit();
  require(stacks_read(stack_at(0)).in_use.bytes_q4 == 0 && slots_of(stack_at(2))[0].stamp == 0 &&
          slots_of(stack_at(2))[1].stamp == 0);
}

/* A thread has raised the total and was held up before it could move the peak. */
CHILD_TEST(whoever_comes_next_moves_the_peak)
{
  make_stacks();
  stacks_count_allocation(ids[0], bytes(100), NULL);
  region_header()->halves[0].in_use_bytes_q4 += 50 * 16;
  stacks_count_free(ids[0], bytes(100));
  require(peak_q4() == 150 * 16 && at_peak(0).bytes_q4 == 1600);
}

/* A handler that leaves realloc by longjmp: the object may be freed without ever having been counted. */
CHILD_TEST(total_below_zero_is_no_peak)
{
  make_stacks();
  stacks_count_allocation(ids[0], bytes(100), NULL);
  stacks_count_free(ids[0], bytes(100));
  stacks_count_free(ids[0], bytes(100));
  require((int64_t)total_q4() == -1600 && peak_q4() == 1600);
  stacks_count_allocation(ids[1], bytes(60), NULL);
  require(peak_q4() == 1600 && at_peak(0).bytes_q4 == 1600 && at_peak(1).bytes_q4 == 0);
}

/* Slots that somebody is writing for ever. */

static void change_at_new_peaks(unsigned peaks)
{
  for (unsigned i = 0; i < peaks; i++) {
    uint64_t before = stacks_read(stack_at(0)).in_use.bytes_q4;
    stacks_count_allocation(ids[1], bytes(1000), NULL); /* a new peak */
    stacks_count_allocation(ids[0], bytes(1), NULL);
    stacks_count_free(ids[1], bytes(10));
    stacks_count_allocation(ids[2], bytes(10000), NULL);
    uint64_t peak = peak_q4();
    stacks_count_free(ids[2], bytes(10000));
    stacks_count_free(ids[0], bytes(1)); /* keeps before + 1 */
    require(peak_q4() == peak);
    require(at_peak(0).bytes_q4 == before + 16 && stacks_read(stack_at(0)).in_use.bytes_q4 == before);
    stacks_count_allocation(ids[2], bytes(20000 + i), NULL);
    stacks_count_free(ids[2], bytes(10));
  }
}

CHILD_TEST(held_slot_is_left_alone)
{
  make_stacks();
  struct stack_record *stack = stack_at(0);
  for (unsigned held = 0; held < PEAK_SLOTS; held++) {
    change_at_new_peaks(3);
    uint64_t stamp = slots_of(stack)[held].stamp | PEAK_IS_WRITTEN, other = slots_of(stack)[1 - held].stamp;
    slots_of(stack)[held].stamp = stamp;
    change_at_new_peaks(5);
    require(slots_of(stack)[held].stamp == stamp && slots_of(stack)[1 - held].stamp != other);
    slots_of(stack)[held].stamp &= ~PEAK_IS_WRITTEN;
  }
}

CHILD_TEST(two_held_slots_cost_the_older)
{
  make_stacks();
  struct stack_record *stack = stack_at(0);
  change_at_new_peaks(4);
  unsigned older = slots_of(stack)[0].stamp > slots_of(stack)[1].stamp;
  uint64_t newer = slots_of(stack)[1 - older].stamp | PEAK_IS_WRITTEN;
  slots_of(stack)[1 - older].stamp = newer;
  slots_of(stack)[older].stamp |= PEAK_IS_WRITTEN;
  change_at_new_peaks(5);
  require(slots_of(stack)[1 - older].stamp == newer && (slots_of(stack)[older].stamp & PEAK_IS_WRITTEN) == 0);
}

CHILD_TEST(unfinished_slot_reads_as_now)
{
  make_stacks();
  stacks_count_allocation(ids[0], bytes(100), NULL);
  slots_of(stack_at(0))[0].stamp = peak_q4() | PEAK_IS_OVER | PEAK_IS_WRITTEN; /* left before the values were stored */
  stacks_count_free(ids[0], bytes(100));
  require(at_peak(0).bytes_q4 == 0);
  stacks_count_allocation(ids[0], bytes(300), NULL);
  stacks_count_free(ids[0], bytes(300)); /* at the next peak all is well */
  require(at_peak(0).bytes_q4 == 4800);
}

/* A thread that is held up at any one instruction of a sample while others go on: the processor stops behind each instruction
 * (its trap flag), and at the chosen one the handler plays the others. */

enum { TRAP_FLAG = 0x100, HELD_UP_BYTES = 7 };

static volatile unsigned steps_to_go;
static sigjmp_buf *way_out;
static uint64_t total_before, held_before; /* by all, by stack 0 */

static void begin_round(void)
{
  stacks_count_allocation(ids[0], bytes(100000), NULL); /* a new peak */
  total_before = total_q4() / 16;
  held_before = stacks_read(stack_at(0)).in_use.bytes_q4 / 16;
}

static void expect_about(uint64_t q4, uint64_t expected_bytes)
{
  int64_t off = (int64_t)(q4 - expected_bytes * 16);
  require(llabs(off) <= HELD_UP_BYTES * 16);
}

struct others {
  void (*play)(void);
  void (*expect)(void);
};

static void go_up_and_down(void)
{
  stacks_count_allocation(ids[1], bytes(1000), NULL); /* a new peak */
  stacks_count_free(ids[0], bytes(200));
  stacks_count_allocation(ids[0], bytes(5000), NULL); /* another */
  stacks_count_free(ids[0], bytes(5000));
  stacks_count_allocation(ids[2], bytes(9000), NULL); /* the last */
  stacks_count_free(ids[0], bytes(500));
  stacks_count_free(ids[2], bytes(9000));
  stacks_count_allocation(ids[0], bytes(700), NULL);
  stacks_count_free(ids[1], bytes(1000));
}

static void expect_the_last_peak(void)
{
  expect_about(peak_q4(), total_before + 1000 - 200 + 9000);
  expect_about(at_peak(0).bytes_q4, held_before - 200);
  require(at_peak(1).bytes_q4 == 1000 * 16 && at_peak(2).bytes_q4 == 9000 * 16);
}

static void stay_below(void)
{
  stacks_count_free(ids[0], bytes(4000));
  stacks_count_allocation(ids[1], bytes(300), NULL);
  stacks_count_allocation(ids[0], bytes(1000), NULL);
  stacks_count_free(ids[1], bytes(300));
}

static void expect_the_old_peak(void)
{
  expect_about(peak_q4(), total_before);
  expect_about(at_peak(0).bytes_q4, held_before);
  require(at_peak(1).bytes_q4 == 0);
}

static const struct others *others, busy = {go_up_and_down, expect_the_last_peak},
                                    quiet = {stay_below, expect_the_old_peak};

static void on_step(int number, siginfo_t *info, void *context)
{
  (void)number, (void)info;
  if (steps_to_go == 0 || --steps_to_go > 0)
    return;
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
  if (way_out != NULL)
    siglongjmp(*way_out, 1);
  if (helper != NULL)
    let_help(others->play);
  else
    others->play();
}

static void set_trap_flag(bool is_on)
{
  uint64_t mask = ~(uint64_t)TRAP_FLAG, flag = is_on ? TRAP_FLAG : 0;
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                   "pushfq\n\t"
                   "andq %0, (%%rsp)\n\t"
                   "orq %1, (%%rsp)\n\t"
                   "popfq\n\t"
                   "lea 128(%%rsp), %%rsp"
                   :
                   : "r"(mask), "r"(flag)
                   : "memory", "cc");
}

/* The address sanitizer's checks are many instructions more, and each step plays the others' part: three minutes. */
enum { STEPS_APART = UNIT_IS_ADDRESS_SANITIZED ? 13 : 1 };

/* False: it was over before. */
static bool interrupt_after(unsigned steps, void (*change)(uint32_t, struct sample_weight), struct sample_weight weight)
{
  steps_to_go = steps;
  set_trap_flag(true);
  change(ids[0], weight);
  set_trap_flag(false);
  return steps_to_go == 0;
}

static void set_up_steps(const struct others *chosen)
{
  make_stacks();
  others = chosen;
  struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
  require(sigaction(SIGTRAP, &action, NULL) == 0);
}

/* The thread sanitizer's own code, thousands of instructions, would be stepped through too. */
static void interrupt_everywhere(void (*change)(uint32_t, struct sample_weight), const struct others *chosen)
{
  unsigned steps = 1;
  if (UNIT_IS_THREAD_SANITIZED)
    return;
  set_up_steps(chosen);
  for (begin_round(); interrupt_after(steps, change, bytes(HELD_UP_BYTES)); steps += STEPS_APART) {
    others->expect();
    begin_round();
  }
  require(steps > 50);
}

static void interrupt_everywhere_apart(void (*change)(uint32_t, struct sample_weight), const struct others *chosen)
{
  keep_lanes_apart();
  interrupt_everywhere(change, chosen);
}

CHILD_TEST(free_held_up_while_peaks_pass_apart)
{
  interrupt_everywhere_apart(stacks_count_free, &busy);
}

CHILD_TEST(free_held_up_below_the_peak_apart)
{
  interrupt_everywhere_apart(stacks_count_free, &quiet);
}

CHILD_TEST(allocation_held_up_while_peaks_pass_apart)
{
  interrupt_everywhere_apart(count_allocation, &busy);
}

CHILD_TEST(allocation_held_up_below_the_peak_apart)
{
  interrupt_everywhere_apart(count_allocation, &quiet);
}

/* The handler is of the same lane. */
CHILD_TEST(allocation_held_up_by_its_own_lane)
{
  atomic_store(&lanes_met, true);
  interrupt_everywhere(count_allocation, &busy);
}

CHILD_TEST(free_held_up_by_its_own_lane)
{
  atomic_store(&lanes_met, true);
  interrupt_everywhere(stacks_count_free, &busy);
}

CHILD_TEST(free_held_up_while_peaks_pass)
{
  interrupt_everywhere(stacks_count_free, &busy);
}

CHILD_TEST(free_held_up_below_the_peak)
{
  interrupt_everywhere(stacks_count_free, &quiet);
}

CHILD_TEST(allocation_held_up_while_peaks_pass)
{
  interrupt_everywhere(count_allocation, &busy);
}

CHILD_TEST(allocation_held_up_below_the_peak)
{
  interrupt_everywhere(count_allocation, &quiet);
}

/* The handler does not come back. */
static bool leave_after(unsigned steps)
{
  sigjmp_buf here;
  way_out = &here;
  if (sigsetjmp(here, 1) != 0)
    return true;
  (void)interrupt_after(steps, stacks_count_free, bytes(HELD_UP_BYTES));
  return false;
}

static void leave_anywhere(void)
{
  unsigned steps = 1;
  if (UNIT_IS_THREAD_SANITIZED)
    return;
  set_up_steps(&busy);
  for (begin_round(); leave_after(steps); steps += STEPS_APART) {
    others->play();
    others->expect();
    begin_round();
  }
  require(steps > 50);
}

CHILD_TEST(left_anywhere)
{
  leave_anywhere();
}

CHILD_TEST(left_anywhere_apart)
{
  atomic_store(&lanes_met, true);
  leave_anywhere();
}

/* Threads. */

static pthread_barrier_t barrier;

/* All hold what they allocate until all have: the peak is everything, and nothing is in flight when it is reached. */
static void *hold_together(void *number)
{
  enum { ROUNDS = 30, EACH = 400 };
  for (unsigned round = 1; round <= ROUNDS; round++) {
    uint64_t before = peak_q4(), each = 16 * round;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < EACH; i++)
      stacks_count_allocation(ids[i % STACKS], bytes(each), NULL);
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < EACH; i++)
      stacks_count_free(ids[i % STACKS], bytes(each));
    pthread_barrier_wait(&barrier);
    if (number != NULL)
      continue;
    require(peak_q4() == THREADS * EACH * each * 16 && peak_q4() > before);
    for (unsigned i = 0; i < STACKS; i++)
      require(at_peak(i).bytes_q4 == THREADS * each * 16 * (EACH / STACKS + (i < EACH % STACKS)));
  }
  return NULL;
}

CHILD_TEST(threads_that_hold_together)
{
  make_stacks();
  require(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  unit_run_threads(THREADS, hold_together);
  require(total_q4() == 0);
}

enum { SIZE_MAX_BYTES = 512, TIDES = 60, STEPS = 3000, HELD = 1000 };

/* Up and down at random, every tide a little higher. Between two of them all is quiet. */
static void *walk(void *number)
{
  uint64_t random = 3 + (uintptr_t)number;
  struct object held[HELD];
  unsigned count = 0;
  for (unsigned tide = 1; tide <= TIDES; tide++) {
    for (unsigned step = 0; step < STEPS; step++) {
      unsigned full = HELD * tide / TIDES * (1 + step % 100) / 100;
      if (count < full) {
        held[count] =
            (struct object){(unsigned)(prng_next(&random) % STACKS), bytes(prng_next(&random) % SIZE_MAX_BYTES)};
        stacks_count_allocation(ids[held[count].stack], held[count].weight, NULL);
        count++;
      } else if (count > 0) {
        count--;
        stacks_count_free(ids[held[count].stack], held[count].weight);
      }
    }
    pthread_barrier_wait(&barrier);
    if (number == NULL) {
      int64_t off = (int64_t)(bytes_of_all_at_peak() - peak_q4());
      require(llabs(off) <= THREADS * SIZE_MAX_BYTES * 16);
    }
    pthread_barrier_wait(&barrier);
  }
  while (count-- > 0)
    stacks_count_free(ids[held[count].stack], held[count].weight);
  return NULL;
}

CHILD_TEST(threads_are_off_by_what_is_in_flight)
{
  make_stacks();
  require(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  unit_run_threads(THREADS, walk);
  require(total_q4() == 0 && peak_q4() > 16 * SIZE_MAX_BYTES);
}

CHILD_TEST(threads_that_hold_together_apart)
{
  atomic_store(&lanes_met, true);
  make_stacks();
  require(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  unit_run_threads(THREADS, hold_together);
  require(total_q4() == 0);
}

CHILD_TEST(threads_apart_are_off_by_what_is_in_flight)
{
  atomic_store(&lanes_met, true);
  make_stacks();
  require(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  unit_run_threads(THREADS, walk);
  require(total_q4() == 0 && peak_q4() > 16 * SIZE_MAX_BYTES);
}

static void free_one(void)
{
  stacks_count_free(ids[0], bytes(500));
}

static void allocate_one(void)
{
  stacks_count_allocation(ids[0], bytes(500), NULL);
}

CHILD_TEST(mark_does_not_count_what_lanes_can_spare)
{
  make_stacks();
  keep_lanes_apart();
  for (unsigned i = 0; i < 8; i++)
    (i % 2 == 0 ? let_help : do_alone)(allocate_one);
  for (unsigned i = 0; i < 4; i++)
    (i % 2 == 0 ? let_help : do_alone)(free_one);
  require(spares_of_all() == 4 * 500 * 16);
  peak_set_mark();
  require(peak_since_mark_bytes() == 4 * 500);
  for (unsigned i = 0; i < 3; i++)
    do_alone(allocate_one);
  for (unsigned i = 0; i < 5; i++)
    let_help(free_one);
  require(peak_since_mark_bytes() == 7 * 500 && peak_q4() == 8 * 500 * 16);
}

/* A child has what its parent's threads had to spare counted anew. */
CHILD_TEST(child_has_nothing_to_spare)
{
  make_stacks();
  keep_lanes_apart();
  for (unsigned i = 0; i < 8; i++)
    let_help(allocate_one);
  let_help(free_one);
  require(spares_of_all() > 0);
  stacks_inherit();
  require(spares_of_all() == 0);
}

/* What is freed at once, and what comes to more than a lane keeps, is given back. */
CHILD_TEST(lanes_keep_little)
{
  enum { MANY = 1000 };
  make_stacks();
  keep_lanes_apart();
  stacks_count_allocation(ids[0], bytes(1 << 20), NULL);
  for (unsigned i = 0; i < MANY; i++)
    do_alone(allocate_one);
  stacks_count_free(ids[0], bytes(1 << 20));
  require(spares_of_all() == 0);
  for (unsigned i = 0; i < MANY; i++) {
    free_one();
    require(spares_of_all() <= 16 << 10 << 4);
  }
  require(total_q4() == 0);
}

CHILD_TEST(mark_has_a_peak_of_its_own)
{
  make_stacks();
  stacks_count_allocation(ids[0], bytes(1000), NULL);
  stacks_count_free(ids[0], bytes(1000));
  stacks_count_allocation(ids[1], bytes(100), NULL);
  peak_set_mark();
  require(peak_since_mark_bytes() == 100);
  stacks_count_allocation(ids[0], bytes(500), NULL);
  stacks_count_free(ids[0], bytes(500));
  stacks_count_free(ids[1], bytes(100));
  require(peak_since_mark_bytes() == 600);
  peak_set_mark();
  require(peak_since_mark_bytes() == 0);
}

static _Atomic bool is_done;
static _Atomic uint64_t reads;

static void *read_all_the_time(void *unused)
{
  (void)unused;
  uint64_t last = 0;
  while (!is_done) {
    uint64_t peak = peak_q4();
    require(peak >= last);
    last = peak;
    for (unsigned i = 0; i < STACKS; i++) {
      struct tally_sums sums = at_peak(i);
      require(sums.bytes_q4 < 1ull << 40 && sums.objects_q16 < 1ull << 40); /* below zero would be above that */
    }
    reads++;
  }
  return NULL;
}

CHILD_TEST(reading_beside_writers)
{
  pthread_t reader;
  make_stacks();
  require(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  require(pthread_create(&reader, NULL, read_all_the_time, NULL) == 0);
  do
    unit_run_threads(THREADS, walk);
  while (reads < 10);
  is_done = true;
  require(pthread_join(reader, NULL) == 0);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_thread_is_exact),
      cmocka_unit_test(threads_in_turn_are_exact),
      cmocka_unit_test(each_half_is_read_at_the_peak_of_the_other),
      cmocka_unit_test(value_at_the_peak_stays),
      cmocka_unit_test(whoever_comes_next_moves_the_peak),
      cmocka_unit_test(total_below_zero_is_no_peak),
      cmocka_unit_test(held_slot_is_left_alone),
      cmocka_unit_test(two_held_slots_cost_the_older),
      cmocka_unit_test(unfinished_slot_reads_as_now),
      cmocka_unit_test(free_held_up_while_peaks_pass),
      cmocka_unit_test(free_held_up_while_peaks_pass_apart),
      cmocka_unit_test(free_held_up_below_the_peak_apart),
      cmocka_unit_test(allocation_held_up_while_peaks_pass_apart),
      cmocka_unit_test(allocation_held_up_below_the_peak_apart),
      cmocka_unit_test(allocation_held_up_by_its_own_lane),
      cmocka_unit_test(free_held_up_by_its_own_lane),
      cmocka_unit_test(free_held_up_below_the_peak),
      cmocka_unit_test(allocation_held_up_while_peaks_pass),
      cmocka_unit_test(allocation_held_up_below_the_peak),
      cmocka_unit_test(left_anywhere),
      cmocka_unit_test(left_anywhere_apart),
      cmocka_unit_test(threads_that_hold_together),
      cmocka_unit_test(threads_are_off_by_what_is_in_flight),
      cmocka_unit_test(mark_has_a_peak_of_its_own),
      cmocka_unit_test(threads_that_hold_together_apart),
      cmocka_unit_test(threads_apart_are_off_by_what_is_in_flight),
      cmocka_unit_test(mark_does_not_count_what_lanes_can_spare),
      cmocka_unit_test(child_has_nothing_to_spare),
      cmocka_unit_test(lanes_keep_little),
      cmocka_unit_test(reading_beside_writers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
