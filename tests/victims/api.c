/* SPDX-License-Identifier: MIT */
/* api ORDER...: a program that was built without the profiler and asks whether it is there.
 *   work      allocates, counted       stop, start   sampling off and on
 *   hidden    allocates, not counted   free          frees all of the counted
 *   dump=PATH, dump                    says the result and errno
 *   stats, version                     says them
 *   count, counted                     begins to count, ends it and says what there was
 *   spike                              100,000 bytes for a moment
 *   fork                               in the middle of a count
 *   threads                            four that allocate 1,000 objects of 10 bytes each, and free half of them */
#include "heapprof.h"
#include "shadow.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

enum { OBJECTS = 64 };

static void *objects[1024];
static size_t object_count;

VICTIM void victim_work(void)
{
  for (size_t i = 0; i < OBJECTS; i++)
    objects[object_count++] = shadow_add(malloc(i), i);
}

VICTIM void victim_free(void)
{
  while (object_count > 0) {
    free(objects[--object_count]);
    shadow_remove(object_count % OBJECTS);
  }
}

__attribute__((noinline)) static void allocate_hidden(void)
{
  for (size_t i = 0; i < OBJECTS; i++) {
    void *p = malloc(5000 + i);
    __asm__ volatile("" : "+r"(p) : : "memory");
  }
}

static void dump(const char *path)
{
  errno = 0;
  int result = heapprof_dump(path);
  dprintf(STDOUT_FILENO, "dump %d %s\n", result, result == 0 ? "ok" : strerror(errno));
}

static void say_stats(void)
{
  struct heapprof_stats stats;
  memset(&stats, 0xff, sizeof stats);
  dprintf(STDOUT_FILENO, "stats %d\n", heapprof_stats(&stats));
}

/* Without dprintf, which allocates. */
static void say_failure(const char *what, int result)
{
  char line[64];
  if (result != 0)
    (void)!write(STDOUT_FILENO, line, (size_t)snprintf(line, sizeof line, "%s %s\n", what, strerrorname_np(errno)));
}

static void say_counts(void)
{
  struct heapprof_counts counts;
  memset(&counts, 0xff, sizeof counts);
  int result = heapprof_count_end(&counts, sizeof counts);
  say_failure("counted", result);
  if (result == 0)
    dprintf(STDOUT_FILENO, "%" PRIu64 " %" PRIu64 " peak %" PRIu64 " growth %" PRId64 " %" PRId64 " lost %" PRIu64 "\n",
            counts.alloc_objects, counts.alloc_bytes, counts.peak_bytes, counts.growth_objects, counts.growth_bytes,
            counts.lost);
}

static void have_a_spike(void)
{
  void *volatile block = malloc(100000);
  free(block);
}

static void *allocate_and_free(void *blocks)
{
  enum { COUNT = 1000 };
  void **kept = blocks;
  for (int i = 0; i < COUNT; i++)
    kept[i] = malloc(10);
  for (int i = 0; i < COUNT / 2; i++)
    free(kept[i]);
  return NULL;
}

static pthread_barrier_t barrier;

/* They have begun, and allocated, before anybody counts. */
static void *thread(void *blocks)
{
  free(malloc(1));
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return allocate_and_free(blocks);
}

static void run_threads(void)
{
  enum { THREADS = 4 };
  static void *blocks[THREADS][1000];
  pthread_t threads[THREADS];
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, thread, blocks[i]);
  pthread_barrier_wait(&barrier);
  say_failure("count", heapprof_count_begin());
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  say_counts();
}

/* A child begins anew, and has nothing to end. */
static void fork_while_counting(void)
{
  say_failure("count", heapprof_count_begin());
  victim_work();
  if (fork() == 0) {
    victim_free();
    say_counts();
    say_failure("count", heapprof_count_begin());
    victim_work();
    say_counts();
    _exit(0);
  }
  REQUIRE(wait(NULL) > 0);
  say_counts();
}

static void obey(const char *order)
{
  if (strcmp(order, "work") == 0)
    victim_work();
  else if (strcmp(order, "free") == 0)
    victim_free();
  else if (strcmp(order, "hidden") == 0)
    allocate_hidden();
  else if (strcmp(order, "spike") == 0)
    have_a_spike();
  else if (heapprof_version == NULL)
    dprintf(STDOUT_FILENO, "absent\n");
  else if (strcmp(order, "stop") == 0)
    heapprof_stop();
  else if (strcmp(order, "start") == 0)
    heapprof_start();
  else if (strcmp(order, "dump") == 0)
    dump(NULL);
  else if (strncmp(order, "dump=", 5) == 0)
    dump(order + 5);
  else if (strcmp(order, "stats") == 0)
    say_stats();
  else if (strcmp(order, "count") == 0)
    say_failure("count", heapprof_count_begin());
  else if (strcmp(order, "counted") == 0)
    say_counts();
  else if (strcmp(order, "threads") == 0)
    run_threads();
  else if (strcmp(order, "fork") == 0)
    fork_while_counting();
  else if (strcmp(order, "version") == 0)
    dprintf(STDOUT_FILENO, "version %s\n", heapprof_version());
  else
    REQUIRE(!"an order");
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    obey(argv[i]);
  shadow_print();
  return 0;
}
