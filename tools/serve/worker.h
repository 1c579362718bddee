/* SPDX-License-Identifier: MIT */
/* A process that does orders one after the other: it reads the states of others and looks names up, which takes its
 * time and may be its end. What it has found out about names makes the next order of the same program cheap.
 *
 * Threads: forks, so from a process with one thread. Failure: -1 and errno.
 */
#ifndef HEAPPROF_WORKER_H
#define HEAPPROF_WORKER_H

#include <sys/types.h>

/* What is served. */
struct worker_source {
  char *const *operands; /* processes, as served.h has them */
  const char *recording; /* a file, instead; or NULL */
};

/* *socket is ours; when it is closed, or we end, it ends. */
pid_t worker_start(const struct worker_source *source, int *socket);

#endif
