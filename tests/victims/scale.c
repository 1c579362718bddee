/* SPDX-License-Identifier: MIT */
/* Much of one thing, and what it does to memory: `scale stacks N` allocates once from each of N call stacks, `scale live N` keeps
 * N small objects, `scale threads N` starts N threads at once that allocate and wait for each other. Prints the resident set. */
#include "many_stacks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_barrier_t barrier;

static void *allocate_together(void *argument)
{
  free(malloc(100));
  pthread_barrier_wait(&barrier); /* all are there ... */
  pthread_barrier_wait(&barrier); /* ... and measured */
  return argument;
}

static long resident_kib(void)
{
  char line[256];
  long kib = -1;
  FILE *status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL)
    sscanf(line, "VmRSS: %ld", &kib);
  if (status != NULL)
    fclose(status);
  return kib;
}

static void start_threads(long count)
{
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
  for (long i = 0; i < count; i++)
    if (pthread_create(&threads[i], &attributes, allocate_together, NULL) != 0)
      abort();
  pthread_barrier_wait(&barrier);
  printf("resident %ld\n", resident_kib());
  pthread_barrier_wait(&barrier);
  for (long i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
  long count = argc == 3 ? atol(argv[2]) : 0;
  if (argc == 3 && strcmp(argv[1], "threads") == 0) {
    start_threads(count);
    return 0;
  }
  void **kept = calloc((size_t)count + 1, sizeof *kept);
  for (long i = 0; i < count; i++)
    kept[i] = argc == 3 && strcmp(argv[1], "stacks") == 0 ? allocate_from_stack((unsigned)i) : malloc(16);
  printf("resident %ld\n", resident_kib());
  return kept[0] == NULL;
}
