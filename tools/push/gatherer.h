/* SPDX-License-Identifier: MIT */
/* The process that gathers: it reads what anybody may have written, and looks names up, which takes its time and may be
 * its end. Then another takes over, and leaves out the process that was read.
 *
 * Threads: forks, so from a process with one thread. Failure: said.
 */
#ifndef HEAPPROF_GATHERER_H
#define HEAPPROF_GATHERER_H

#include "tools/push/gather.h"

#include <sys/types.h>

enum { GATHERER_SECONDS_MAX = 150 }; /* for one process */

struct gatherer {
  struct gather_options options;
  gint64 first_us;  /* of the monotonic clock: when the first round was due */
  gint64 every_us;  /* 0: one round only */
  pid_t child;      /* 0: none */
  int pipe;         /* what it tells: -1: nothing */
  int reading;      /* the pid of whose turn it is; 0: of none */
  gint64 since_us;  /* when it said so */
  gint64 retry_us;  /* not before */
  unsigned started; /* so many children */
  bool is_done;     /* the one round */
  bool has_failed;  /* something is missing in the queue, for good */
};

/* Owns failures of the options. */
void gatherer_init(struct gatherer *gatherer, const struct gather_options *options, unsigned every_seconds);
void gatherer_clear(struct gatherer *gatherer);

/* Starts a child where there is none, and ends one that takes too long. */
void gatherer_tend(struct gatherer *gatherer);

/* Takes what the child tells. True: there may be more in the queue. */
bool gatherer_hear(struct gatherer *gatherer);

#endif
