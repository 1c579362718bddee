/* SPDX-License-Identifier: MIT */
/* To be preloaded after the profiler: its constructor then runs before that of the profiler.
 * EARLY=threads    allocates and frees on 8 threads, and leaves some for main to find
 * EARLY=handlers   registers exit and fork handlers as the very first thing that allocates */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, ALLOCATIONS = 10000, HANDLERS = 64 };

static void *kept[THREADS];
static int handled;

static void *work(void *argument)
{
  void **slot = argument;
  for (size_t i = 0; i < ALLOCATIONS; i++) {
    free(*slot);
    *slot = malloc(i);
    if (i % 16 == 0)
      *slot = realloc(*slot, 2 * i + 1);
  }
  return NULL;
}

static void run_threads(void)
{
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, work, &kept[i]) != 0)
      abort();
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void handle(void)
{
  handled++;
}

__attribute__((constructor)) static void start_early(void)
{
  const char *what = getenv("EARLY");
  if (what != NULL && strcmp(what, "threads") == 0)
    run_threads();
  for (int i = 0; i < HANDLERS && what != NULL && strcmp(what, "handlers") == 0; i++)
    if (atexit(handle) != 0 || pthread_atfork(handle, handle, handle) != 0)
      abort();
}

/* What began before the profiler was there ends while it is. */
__attribute__((destructor)) static void finish(void)
{
  for (int i = 0; i < THREADS; i++)
    free(kept[i]);
}
