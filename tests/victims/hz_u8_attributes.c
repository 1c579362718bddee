/* SPDX-License-Identifier: MIT */
/* U8: 8 threads ask for their attributes (glibc reallocs under the thread's lock) while allocating. Argument: rounds. */
#include "hz_victim.h"

static void *run(void *argument)
{
  for (long i = 0; i < (intptr_t)argument; i++) {
    pthread_attr_t attributes;
    REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
    hz_churn(i % 10, 50);
    pthread_attr_destroy(&attributes);
  }
  return NULL;
}

int main(int argc, char **argv)
{
  pthread_t threads[8];
  hz_alarm(8 + hz_argument(argc, argv, 1, 0) / 500);
  for (int i = 0; i < 8; i++)
    threads[i] = hz_thread(run, (void *)hz_argument(argc, argv, 1, 500), 0);
  for (int i = 0; i < 8; i++)
    pthread_join(threads[i], NULL);
  run((void *)2L); /* the main thread's are read from /proc/self/maps */
  puts("ok");
  return 0;
}
