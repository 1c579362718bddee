/* SPDX-License-Identifier: MIT */
/* How much memory this process has, by the kernel's count: what malloc gave is part of it.
 *
 * Threads, signals: any. Failure: zeros, where /proc cannot be read.
 */
#ifndef HEAPPROF_RESIDENT_H
#define HEAPPROF_RESIDENT_H

#include <stdint.h>

struct resident {
  uint64_t now_bytes, most_bytes;
};

/* VmRSS and VmHWM, of the text of /proc/PID/status, which is terminated. The latter begins anew with exec, where
 * getrusage goes on with what the process was before. */
struct resident resident_of(const char *status);

/* Leaves those of this process in its region, for readers who cannot ask once it is gone. Takes 3 KiB of the stack. */
void resident_leave(void);

/* The same for those who have no such stack. */
void resident_leave_aside(void);

#endif
