/* SPDX-License-Identifier: MIT */
/* How often the kernel has killed for want of memory in the memory cgroup that we, and what we start, are in.
 *
 * Failure: -1, where there is no such counter, or none that can be read.
 */
#ifndef HEAPPROF_OOM_KILLS_H
#define HEAPPROF_OOM_KILLS_H

#include <stdint.h>

/* Of version 2 and 1 of cgroups. `cgroups`: where they are mounted, /sys/fs/cgroup; `membership`: the text of
 * /proc/self/cgroup. */
int64_t oom_kills_at(const char *cgroups, const char *membership);

int64_t oom_kills(void);

#endif
