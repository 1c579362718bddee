/* SPDX-License-Identifier: MIT */
/* E5: to be preloaded after the profiler: its constructor, which runs first, starts a thread that stays. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *stay(void *unused)
{
  for (;;)
    pause();
  return unused;
}

__attribute__((constructor)) static void start(void)
{
  pthread_t thread;
  if (pthread_create(&thread, NULL, stay, NULL) != 0)
    abort();
}
