/* SPDX-License-Identifier: MIT */
/* P5: exit() in one thread, _exit() in another, some microseconds later (the argument), or the other way round ("-" before it). */
#include "hz_victim.h"

static void *deep(int depth)
{
  volatile char kept = (char)depth;
  void *p = depth > 0 ? deep(depth - 1) : malloc(64);
  kept++;
  return p;
}

static void *end_later(void *argument)
{
  int microseconds = *(int *)argument;
  usleep((unsigned)abs(microseconds));
  if (microseconds < 0)
    exit(0);
  _exit(0);
}

int main(int argc, char **argv)
{
  pthread_t other;
  int microseconds = (int)hz_argument(argc, argv, 1, 300);
  hz_alarm(20);
  for (int i = 0; i < 1200; i++) {
    void *p = deep(i / 20);
    if (i % 2 != 0)
      free(p);
  }
  REQUIRE(pthread_create(&other, NULL, end_later, &microseconds) == 0);
  if (microseconds < 0)
    _exit(0);
  exit(0);
}
