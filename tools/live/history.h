/* SPDX-License-Identifier: MIT */
/* The last hour of each process that was among the last pulses. It is thinned: points close to each other go
 * first, and of two pairs as close the older one. Whatever comes, it holds at most HISTORY_POINTS_MAX points, and
 * moments of HISTORY_MOMENT_BYTES_MAX; moments are thinned as points are, those of the process that has most
 * first.
 *
 * Memory: new bytes are the caller's, pulses that pulses_begin_kept reads. Failure: NULL, if there is nothing of
 * it.
 */
#ifndef HEAPPROF_HISTORY_H
#define HEAPPROF_HISTORY_H

#include "tools/live/pulse.h"

enum {
  HISTORY_SECONDS = 3600,
  HISTORY_POINTS_OF_ONE = 180,
  HISTORY_POINTS_MAX = 1 << 17,
  HISTORY_PROCESSES_MAX = 1 << 13,
  HISTORY_MOMENT_BYTES_MAX = 16 << 20,
};

struct history;

struct history *history_new(void);
void history_free(struct history *history);

/* Pulses of all processes there are: those that are not among them are forgotten. */
void history_take(struct history *history, struct pulse_reader *pulses);

/* Of one process, the oldest first. */
GBytes *history_of(const struct history *history, int pid);

/* Of all, without moments, the points of one after those of another. */
GBytes *history_of_all(const struct history *history);

/* The two whose moments are known and whose times are the closest to these; never the same one twice. */
GBytes *history_pair(const struct history *history, int pid, int64_t from_unix_ns, int64_t to_unix_ns);

/* For tests: bytes of all moments. */
size_t history_moment_bytes(const struct history *history);

#endif
