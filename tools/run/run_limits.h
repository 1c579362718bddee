/* SPDX-License-Identifier: MIT */
/* Limits of a run: its processes are judged one by one, when all profiles have been written.
 *
 * Failure: a profile that could not be written or read again, or is incomplete, is no reason to say that a limit holds.
 */
#ifndef HEAPPROF_RUN_LIMITS_H
#define HEAPPROF_RUN_LIMITS_H

#include "tools/run/collect.h"

/* struct limit. NULL after a message: one of `texts`, which ends with NULL, is none. */
GArray *run_limits_read(const char *const *texts);

/* The least peak that breaks one of them; INFINITY: none is of peaks. */
double run_limits_peak(const GArray *limits);

enum run_limits_verdict { RUN_LIMITS_HOLD, RUN_LIMITS_BROKEN, RUN_LIMITS_UNKNOWN };

/* Says on standard error which are broken, by which process and by how much, and where that comes from. `is_profiled`:
 * the program can be. */
enum run_limits_verdict run_limits_judge(const GArray *limits, const struct collection *collection, bool is_profiled);

#endif
