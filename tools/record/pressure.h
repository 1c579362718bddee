/* SPDX-License-Identifier: MIT */
/* How short of memory a process is, by its control group, of version 2 or 1.
 *
 * `cgroups`: where they are mounted, /sys/fs/cgroup; `membership`: the text of /proc/PID/cgroup.
 * Failure: false, where there is no limit, no such file, or none that can be read.
 */
#ifndef HEAPPROF_PRESSURE_H
#define HEAPPROF_PRESSURE_H

#include <stdbool.h>

/* Percent of its limit that it uses; of it and those above it, the one that is nearest to its own. */
bool pressure_of_limit(const char *cgroups, const char *membership, double *percent);

/* Percent of the last 10 s that some of its tasks waited for memory; where groups do not tell, of the machine, whose
 * file is `machine`, /proc/pressure/memory. */
bool pressure_stall(const char *cgroups, const char *membership, const char *machine, double *percent);

#endif
