/* SPDX-License-Identifier: MIT */
/* What one thread allocated and freed, counted beside the allocator, and the variance that an estimate of it has when one in
 * `interval_bytes` bytes is sampled: an object of s bytes is taken with p = 1 - exp(-(s + 1) / interval) and then stands for 1 / p. */
#ifndef TALLY_H
#define TALLY_H

#include "shadow.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

struct events {
  long objects, bytes;
  double variance_objects, variance_bytes;
};

struct tally {
  struct events allocated, freed;
};

static double interval_bytes = 1;

static void count(struct events *events, size_t size)
{
  double p = interval_bytes > 1 ? -expm1(-((double)size + 1) / interval_bytes) : 1;
  double variance = (1 - p) / p;
  events->objects += 1;
  events->bytes += (long)size;
  events->variance_objects += variance;
  events->variance_bytes += variance * (double)size * (double)size;
}

static struct events events_sum(struct events a, struct events b, int sign)
{
  return (struct events){
      .objects = a.objects + sign * b.objects,
      .bytes = a.bytes + sign * b.bytes,
      .variance_objects = a.variance_objects + sign * b.variance_objects,
      .variance_bytes = a.variance_bytes + sign * b.variance_bytes,
  };
}

static struct tally tally_sum(struct tally a, struct tally b)
{
  return (struct tally){events_sum(a.allocated, b.allocated, 1), events_sum(a.freed, b.freed, 1)};
}

/* `number`: of the profile that says the same. In one write: other processes print too. */
static void tally_print(const char *kind, struct tally tally, int pid, int number)
{
  struct events in_use = events_sum(tally.allocated, tally.freed, -1);
  char line[512];
  int length = snprintf(line, sizeof line,
                        "%s pid=%d number=%d alloc_objects=%ld alloc_space=%ld inuse_objects=%ld inuse_space=%ld "
                        "variances=%.6g,%.6g,%.6g,%.6g\n",
                        kind, pid, number, tally.allocated.objects, tally.allocated.bytes, in_use.objects, in_use.bytes,
                        tally.allocated.variance_objects, tally.allocated.variance_bytes, in_use.variance_objects,
                        in_use.variance_bytes);
  REQUIRE(write(STDOUT_FILENO, line, (size_t)length) == length);
}

#endif
