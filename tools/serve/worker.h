/* SPDX-License-Identifier: MIT */
/* A process that does orders one after the other: it reads the states of others and looks names up, which takes its
 * time and may be its end. What it has found out about names makes the next order of the same program cheap.
 *
 * Threads: forks, so from a process with one thread. Failure: -1 and errno.
 */
#ifndef HEAPPROF_WORKER_H
#define HEAPPROF_WORKER_H

#include <sys/types.h>

/* *socket is ours; when it is closed, or we end, it ends. `operands` as served.h has them. */
pid_t worker_start(char *const *operands, int *socket);

#endif
