/* SPDX-License-Identifier: MIT */
/* What the hazard victims share, beside shadow.h. A victim prints the same text with and without a profiler, exits 0 when
 * it came through unharmed, and is killed by its own alarm rather than hang.
 *
 * A mini shim (tests/broken) exports hz_mini_count, which marks a thread's allocations as counted, and hz_mini_totals:
 * allocated objects and bytes, freed objects and bytes, compared with the shadow at once. */
#ifndef HZ_VICTIM_H
#define HZ_VICTIM_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shadow.h"

#ifdef __cplusplus
extern "C" {
#endif

extern void hz_mini_count(bool on) __attribute__((weak));
extern void hz_mini_totals(unsigned long totals[4]) __attribute__((weak));

/* Where other programs want the processor too, everything takes longer: HZ_PATIENCE says how many times at most. */
__attribute__((unused)) static unsigned hz_patience(void)
{
  const char *patience = getenv("HZ_PATIENCE");
  return patience ? (unsigned)atoi(patience) : 10;
}

__attribute__((unused)) static void hz_alarm(long seconds)
{
  alarm((unsigned)seconds * hz_patience());
}

/* The n-th argument as a number. */
__attribute__((unused)) static long hz_argument(int argc, char **argv, int n, long fallback)
{
  return argc > n ? atol(argv[n]) : fallback;
}

__attribute__((unused)) static double hz_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noinline, unused)) static void hz_churn(int depth, size_t size);

/* A realigned frame of variable size: its CFA is an expression. */
__attribute__((noinline, unused)) static void hz_churn_realigned(int depth, size_t size)
{
  volatile char frame[depth + 1] __attribute__((aligned(64)));
  frame[depth] = 0;
  hz_churn(depth - 1, size + frame[depth]);
}

/* Allocates and frees below `depth` frames of their own, so that there is something to unwind. */
__attribute__((noinline, unused)) static void hz_churn(int depth, size_t size)
{
  if (depth % 8 == 5) {
    hz_churn_realigned(depth, size);
  } else if (depth > 0) {
    hz_churn(depth - 1, size);
  } else {
    volatile char *p = (volatile char *)malloc(size);
    REQUIRE(p != NULL);
    p[0] = 1;
    free((void *)p);
  }
  __asm__ volatile("" ::: "memory"); /* not a tail call */
}

__attribute__((unused)) static pthread_t hz_thread(void *(*run)(void *), void *argument, size_t stack_size)
{
  pthread_t thread;
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  if (stack_size)
    REQUIRE(pthread_attr_setstacksize(&attributes, stack_size) == 0);
  REQUIRE(pthread_create(&thread, &attributes, run, argument) == 0);
  pthread_attr_destroy(&attributes);
  return thread;
}

/* Allocated and freed, and counted. */
__attribute__((always_inline, unused)) static inline void hz_once(size_t size)
{
  free(shadow_add(malloc(size), size));
  shadow_remove(size);
}

/* A "name: n kB" line of /proc/self/status, in KiB, without allocating. */
__attribute__((unused)) static long hz_status_kib(const char *name)
{
  static char text[8192];
  FILE *file = fopen("/proc/self/status", "r");
  REQUIRE(file != NULL);
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  const char *line = strstr(text, name);
  REQUIRE(line != NULL);
  return atol(line + strlen(name) + 1);
}

/* Announced allocations are made under this name. */
VICTIM void *victim_counted(void *(*work)(void *), void *argument)
{
  if (hz_mini_count)
    hz_mini_count(true);
  void *result = work(argument);
  if (hz_mini_count)
    hz_mini_count(false);
  __asm__ volatile("" ::: "memory");
  return result;
}

/* Exit status 98: a mini shim is loaded and has counted something else. */
__attribute__((unused)) static void hz_report(void)
{
  const unsigned long counted[] = {shadow.alloc_objects, shadow.alloc_bytes, shadow.free_objects, shadow.free_bytes};
  unsigned long seen[4];
  shadow_print();
  if (!hz_mini_totals)
    return;
  hz_mini_totals(seen);
  for (int i = 0; i < 4; i++)
    if (seen[i] != counted[i]) {
      dprintf(2, "total %d is %lu, seen were %lu\n", i, counted[i], seen[i]);
      exit(98);
    }
}

#ifdef __cplusplus
}
#endif
#endif
