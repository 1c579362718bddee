/* SPDX-License-Identifier: MIT */
/* scale_pause STACKS SIGNALS: allocates once from each of STACKS call stacks, then shows how long it is kept from its work.
 *
 * Raises SIGUSR2 as often as SIGNALS says, and prints "handler_ns N cpu_ns N" for each: from the entry of the handler to its exit.
 * Then prints "watching" and reads the clock again and again. For each byte on standard input it prints "gap_ns N", the longest
 * time between two readings since the last such line. Ends with standard input. */
#include "../victims/many_stacks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void time_signals(long count)
{
  for (long i = 0; i < count; i++) {
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), cpu_begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    raise(SIGUSR2);
    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
    printf("handler_ns %llu cpu_ns %llu\n", (unsigned long long)(clock_ns(CLOCK_MONOTONIC) - begin),
           (unsigned long long)cpu_ns);
  }
}

static void watch_clock(void)
{
  enum { READINGS = 1 << 14 }; /* between two looks at standard input */
  uint64_t longest = 0;
  fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
  puts("watching");
  fflush(stdout);
  while (true) {
    uint64_t last = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < READINGS; i++) {
      uint64_t now = clock_ns(CLOCK_MONOTONIC);
      longest = now - last > longest ? now - last : longest;
      last = now;
    }
    char order;
    ssize_t size = read(STDIN_FILENO, &order, 1);
    if (size == 0)
      return;
    if (size == 1) {
      printf("gap_ns %llu\n", (unsigned long long)longest);
      fflush(stdout);
      longest = 0;
    }
  }
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return 2;
  long stacks = atol(argv[1]);
  for (long i = 0; i < stacks; i++)
    if (allocate_from_stack((unsigned)i) == NULL)
      return 1;
  time_signals(atol(argv[2]));
  watch_clock();
  return 0;
}
