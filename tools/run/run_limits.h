/* SPDX-License-Identifier: MIT */
/* Limits of a run: its processes are judged one by one, when all profiles have been written.
 *
 * Failure: a profile that could not be written or read again, or is incomplete, is no reason to say that a limit holds.
 */
#ifndef HEAPPROF_RUN_LIMITS_H
#define HEAPPROF_RUN_LIMITS_H

#include "tools/filter/filter.h"
#include "tools/run/collect.h"

/* struct limit. NULL after a message: one of `texts`, which ends with NULL, is none. */
GArray *run_limits_read(const char *const *texts);

/* The least peak that breaks one of them; INFINITY: none is of peaks. */
double run_limits_peak(const GArray *limits);

/* Is one of what leaked? */
bool run_limits_are_of_leaks(const GArray *limits);

struct run_limits {
  GArray *limits;         /* struct limit */
  struct filter *ignored; /* stacks that have not leaked; NULL: none */
  unsigned judged;        /* of run_limits.c */
};

/* Says on standard error which are broken, by which process and by how much, and where that comes from; and what did
 * not count, unless it is to be quiet. Returns what came of each (limit.h). `is_profiled`: the program can be. */
GArray *run_limits_judge(const struct run_limits *limits, const struct collection *collection, bool is_profiled,
                         bool is_quiet);

#endif
