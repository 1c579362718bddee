/* SPDX-License-Identifier: MIT */
/* Allocator row 7: built with a sanitizer, which brings its own malloc. With "fault", does what it must report. */
#include "hz_victim.h"

static int shared;

static void *run(void *argument)
{
  for (int i = 0; i < 1000; i++)
    hz_churn(i % 10, 100);
  if (argument)
    shared++; /* a race, for the thread sanitizer */
  return NULL;
}

int main(int argc, char **argv)
{
  void *fault = argc > 1 && strcmp(argv[1], "fault") == 0 ? argv : NULL;
  pthread_t threads[4];
  hz_alarm(20);
  for (int i = 0; i < 4; i++)
    threads[i] = hz_thread(run, fault, 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  volatile char *p = malloc(100);
  p[0] = 1;
  free((void *)p);
  if (fault)
    printf("%d\n", p[0]); /* a use after free, for the address sanitizer */
  puts("end");
  return 0;
}
