/* SPDX-License-Identifier: MIT */
/* Many live objects. `live random THREADS OBJECTS PAIRS`: each thread holds so many of 16 to 215 bytes, then frees one at random and
 * allocates another, as often as said; prints the CPU time of such a pair and the resident memory. `live row OBJECTS`: so many of 40
 * bytes, made, then freed in order. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SMALLEST = 16, SIZES = 200, ROW_BYTES = 40, THREADS_MAX = 64 };

static size_t objects, pairs;
static pthread_barrier_t barrier;

static uint64_t next(uint64_t *random)
{
  *random ^= *random << 13, *random ^= *random >> 7, *random ^= *random << 17;
  return *random;
}

static void *object(uint64_t *random)
{
  return malloc(SMALLEST + next(random) % SIZES);
}

static void *replace_at_random(void *number)
{
  uint64_t random = 88172645463325252u + (uintptr_t)number;
  void **held = malloc(objects * sizeof *held);
  for (size_t i = 0; i < objects; i++)
    held[i] = object(&random);
  pthread_barrier_wait(&barrier); /* all is there */
  pthread_barrier_wait(&barrier); /* the clock was read */
  for (size_t i = 0; i < pairs; i++) {
    size_t chosen = next(&random) % objects;
    free(held[chosen]);
    held[chosen] = object(&random);
  }
  pthread_barrier_wait(&barrier);
  return NULL;
}

static double cpu_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void print_resident(void)
{
  char line[128];
  FILE *status = fopen("/proc/self/status", "r");
  while (fgets(line, sizeof line, status))
    if (strncmp(line, "VmRSS:", 6) == 0)
      printf("resident %lu\n", strtoul(line + 6, NULL, 10));
  fclose(status);
}

static void run_at_random(size_t threads)
{
  pthread_t ids[THREADS_MAX];
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (uintptr_t i = 0; i < threads; i++)
    pthread_create(&ids[i], NULL, replace_at_random, (void *)i);
  pthread_barrier_wait(&barrier);
  double begin = cpu_ns();
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  printf("pair_ns %f\n", (cpu_ns() - begin) / (double)(threads * pairs));
  for (size_t i = 0; i < threads; i++)
    pthread_join(ids[i], NULL);
  print_resident();
}

static void run_in_a_row(size_t count)
{
  void **held = malloc(count * sizeof *held);
  for (size_t i = 0; i < count; i++)
    held[i] = malloc(ROW_BYTES);
  for (size_t i = 0; i < count; i++)
    free(held[i]);
  free(held);
}

int main(int argc, char **argv)
{
  if (argc == 3 && strcmp(argv[1], "row") == 0) {
    run_in_a_row(strtoul(argv[2], NULL, 10));
    return 0;
  }
  size_t threads = argc == 5 ? strtoul(argv[2], NULL, 10) : 0;
  if (threads == 0 || threads > THREADS_MAX)
    return 2;
  objects = strtoul(argv[3], NULL, 10);
  pairs = strtoul(argv[4], NULL, 10);
  run_at_random(threads);
  return 0;
}
