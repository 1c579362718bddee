/* SPDX-License-Identifier: MIT */
/* overhead PAIRS DEPTH: allocates and frees PAIRS objects of 64 to 575 bytes below DEPTH calls, holds 1,000 of them at a time, and
 * writes the first word of each. Prints the processor time that this took, in ns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HELD = 1000, SIZES = 512, SIZE_MIN = 64 };

static void *held[HELD];

static uint64_t cpu_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void exchange(long pairs)
{
  for (long i = 0; i < pairs; i++) {
    long *fresh = malloc(SIZE_MIN + (unsigned long)i * 2654435761u % SIZES);
    if (fresh == NULL)
      abort();
    *fresh = i;
    free(held[i % HELD]);
    held[i % HELD] = fresh;
  }
}

__attribute__((noinline)) static void below(long depth, long pairs)
{
  if (depth == 0)
    exchange(pairs);
  else
    below(depth - 1, pairs);
  __asm__ volatile(""); /* no tail call */
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return 2;
  long pairs = atol(argv[1]), depth = atol(argv[2]);
  below(depth, pairs / 20); /* places are seen for the first time, pages touched */
  uint64_t begin = cpu_ns();
  below(depth, pairs);
  printf("cpu_ns %llu\n", (unsigned long long)(cpu_ns() - begin));
  return 0;
}
