/* SPDX-License-Identifier: MIT */
/* Allocates at random through every entry point, in several threads and generations of forked children, and says what a profile of
 * it must say:
 *
 *   driver SEED THREADS PHASES OPERATIONS INTERVAL
 *
 * Each thread makes OPERATIONS operations in each of PHASES phases. Between two phases, while all threads wait, the process has a
 * profile written (if it is profiled), prints what that must say, and forks a child that inherits everything, goes on alone and prints
 * its own. INTERVAL is the sampling interval, for the variances.
 *
 *   totals ...    of samples below any victim_*, in profile `number` of process `pid`
 *   child ...     the same, of a forked child
 *   wild ...      the same, for those below wild_child alone: of children that were forked while the other threads were at work
 */
#include "operations.h"

#include <spawn.h>
#include <sys/wait.h>

enum { THREADS_MAX = 64, GENERATIONS = 2, ONE_IN_MANY = 512 };

extern int heapprof_dump(const char *path) __attribute__((weak));

static struct worker workers[THREADS_MAX + 1]; /* the last is main's */
static long thread_count, phases, operations;
static unsigned long seed;
static int profiles_written;
static const char *kind = "totals";
static pthread_barrier_t barrier;

static void seed_worker(struct worker *worker, unsigned long number)
{
  worker->random = seed * 0x9e3779b97f4a7c15u + number;
  for (int i = 0; i < 4; i++)
    draw(worker, 2);
}

/* What this process says. */

static struct tally total(void)
{
  struct tally sum = {.allocated = {0}};
  for (int i = 0; i <= THREADS_MAX; i++)
    sum = tally_sum(sum, workers[i].tally);
  return sum;
}

static void report(void)
{
  tally_print(kind, total(), getpid(), profiles_written + 1);
}

static void have_profile_written(void)
{
  if (!heapprof_dump)
    return;
  REQUIRE(heapprof_dump(NULL) == 0);
  profiles_written++;
}

/* A child has allocated what it has when it first allocates, and freed nothing. */
static void become_child(void)
{
  struct tally inherited = total();
  for (int i = 0; i <= THREADS_MAX; i++)
    workers[i].tally = (struct tally){.allocated = {0}};
  workers[0].tally.allocated = events_sum(inherited.allocated, inherited.freed, -1);
  profiles_written = 0;
  kind = "child";
}

__attribute__((noreturn)) static void leave(unsigned way)
{
  if (way % 3 == 0)
    exit(0);
  if (way % 3 == 1)
    quick_exit(0);
  _exit(0);
}

static void wait_for(pid_t child)
{
  int status;
  REQUIRE(child > 0);
  while (waitpid(child, &status, 0) != child)
    REQUIRE(errno == EINTR);
  if (status != 0)
    dprintf(2, "child %d ended with status %#x\n", (int)child, status);
  REQUIRE(status == 0);
}

/* Children that are forked at a quiet moment: their whole heap is known. */

static void fork_quietly(unsigned long number, int generations);

/* Draws as often whatever is there: what is in a mailbox depends on the scheduler. */
static void drop_some(struct worker *worker, struct object *objects, unsigned room, unsigned filled)
{
  for (unsigned i = 0; i < room; i++) {
    unsigned chance = draw(worker, 3), way = draw(worker, WAYS);
    if (chance == 0 && i < filled)
      drop(worker, &objects[i], way);
  }
}

/* Some of everybody's, also of threads that it has not. */
static void drop_inherited(struct worker *worker)
{
  for (int i = 0; i < THREADS_MAX; i++) {
    drop_some(worker, workers[i].slots, SLOTS, SLOTS);
    drop_some(worker, workers[i].mailbox.objects, MAILBOX_SLOTS, workers[i].mailbox.count);
  }
}

static void go_on_as_child(unsigned long number, int generations)
{
  struct worker *worker = &workers[THREADS_MAX];
  struct tally before = worker->tally;
  *worker = (struct worker){.tally = before};
  seed_worker(worker, number);
  bool frees_first = draw(worker, 2) == 0;
  if (frees_first)
    drop_inherited(worker);
  become_child();
  for (long i = 0; i < operations / 8; i++)
    operate(worker, worker);
  if (!frees_first)
    drop_inherited(worker);
  if (draw(worker, 2) == 0) {
    report();
    have_profile_written();
  }
  if (generations > 1)
    fork_quietly(number * 131, generations - 1);
  report();
  leave(draw(worker, 3));
}

static void fork_quietly(unsigned long number, int generations)
{
  pid_t child = fork();
  if (child == 0)
    go_on_as_child(number, generations);
  wait_for(child);
}

/* Children that are forked while others allocate: what they make themselves is known. */

__attribute__((noinline)) static struct tally wild_child(unsigned long number)
{
  static struct worker own;
  own = (struct worker){.is_wild = true};
  seed_worker(&own, number);
  for (int i = 0; i < 200; i++)
    operate(&own, &own);
  struct tally tally = own.tally;
  __asm__ volatile("" ::: "memory");
  return tally;
}

static void fork_wildly(unsigned long number, unsigned way)
{
  pid_t child = fork();
  if (child == 0) {
    if (!mi_version) /* whose free waits for threads that are not there */
      tally_print("wild", wild_child(number), getpid(), 1);
    leave(way);
  }
  wait_for(child);
}

/* A program that is not profiled, started by a child that shares our memory, in the way of libc or by hand. */

static void spawn_program(void)
{
  static char *const arguments[] = {"true", NULL}, *const environment[] = {NULL};
  pid_t child;
  REQUIRE(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environment) == 0);
  wait_for(child);
}

static void vfork_and_leave(void)
{
  pid_t child = vfork();
  if (child == 0)
    _exit(0);
  wait_for(child);
}

/* Threads that live for a moment, and leave to others what they made. */

struct errand {
  unsigned long number;
  struct worker *receiver;
  struct tally tally;
};

static void *run_errand(void *argument)
{
  struct errand *errand = argument;
  struct worker *own = calloc(1, sizeof *own); /* not below any victim_* */
  REQUIRE(own != NULL);
  seed_worker(own, errand->number);
  for (int i = 0; i < 50; i++)
    operate(own, errand->receiver);
  empty_mailbox(own);
  for (int i = 0; i < SLOTS; i++)
    drop(own, &own->slots[i], (unsigned)i);
  errand->tally = own->tally;
  free(own);
  return NULL;
}

static void send_errand(struct worker *worker, unsigned long number)
{
  struct errand errand = {.number = number, .receiver = worker};
  pthread_join(hz_thread(run_errand, &errand, 256 << 10), NULL);
  worker->tally = tally_sum(worker->tally, errand.tally);
}

/* The threads. */

static void do_something_rare(struct worker *worker)
{
  unsigned long number = draw(worker, 1u << 30) + 1000;
  unsigned way = draw(worker, 16);
  if (way < 4)
    fork_wildly(number, way);
  else if (way < 6)
    spawn_program();
  else if (way < 8)
    vfork_and_leave();
  else if (!mi_version) /* 2.0.9 crashes now and then, also alone, where threads have ended that had memory */
    send_errand(worker, number);
}

static void run_phase(struct worker *worker)
{
  for (long i = 0; i < operations; i++) {
    struct worker *other = &workers[draw(worker, (unsigned)thread_count)];
    if (draw(worker, ONE_IN_MANY) == 0)
      do_something_rare(worker);
    else
      operate(worker, other);
  }
}

static void *run_worker(void *argument)
{
  struct worker *worker = argument;
  for (long phase = 0; phase < phases; phase++) {
    run_phase(worker);
    pthread_barrier_wait(&barrier); /* now main looks at what everybody did */
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

static void run_quiet_moment(long phase)
{
  pthread_barrier_wait(&barrier);
  report();
  have_profile_written();
  fork_quietly((unsigned long)phase + 100, GENERATIONS);
  pthread_barrier_wait(&barrier);
}

/* A profiler that learns how to unwind a function while another thread waits for the same may give up the rest of a stack. Let it
 * learn them all first. */
static void warm_up(void)
{
  struct worker *worker = &workers[THREADS_MAX];
  seed_worker(worker, 0xffffffff);
  for (int i = 0; i < 1500; i++)
    operate(worker, worker);
}

int main(int argc, char **argv)
{
  pthread_t threads[THREADS_MAX];
  REQUIRE(argc > 1);
  seed = strtoul(argv[1], NULL, 10);
  thread_count = hz_argument(argc, argv, 2, 4);
  phases = hz_argument(argc, argv, 3, 2);
  operations = hz_argument(argc, argv, 4, 1000);
  interval_bytes = (double)hz_argument(argc, argv, 5, 1);
  REQUIRE(thread_count > 0 && thread_count <= THREADS_MAX);
  pthread_barrier_init(&barrier, NULL, (unsigned)thread_count + 1);
  warm_up();
  for (long i = 0; i < thread_count; i++) {
    seed_worker(&workers[i], (unsigned long)i);
    threads[i] = hz_thread(run_worker, &workers[i], 0);
  }
  for (long phase = 0; phase < phases; phase++)
    run_quiet_moment(phase);
  for (long i = 0; i < thread_count; i++)
    pthread_join(threads[i], NULL);
  report();
  return 0;
}
