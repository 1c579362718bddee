/* SPDX-License-Identifier: MIT */
/* What is known of processes at a moment, as bytes: from a worker to the server, which keeps them, and back to a worker
 * that shows them.
 *
 * Memory: new bytes are the caller's; what is read points into the bytes. Failure: bytes that are cut end early.
 */
#ifndef HEAPPROF_PULSE_H
#define HEAPPROF_PULSE_H

#include "tools/state/targets.h"

/* One process. Its moment (moment.h) follows; of no bytes: its stacks are not known. */
struct pulse {
  int64_t time_unix_ns;
  uint64_t created_unix_ns; /* with the number it tells which process it is */
  double in_use_bytes, allocated_bytes, resident_bytes;
  int32_t pid;
  uint32_t moment_bytes;
};

enum { PULSE_MOMENT_BYTES_MAX = 4 << 20 };
#define PULSE_TIME_MAX (INT64_MAX / 4) /* so that times can be subtracted */

/* The processor time of this process, to begin with: to find them takes longer than to read them. */
int64_t pulses_cpu_us(void);

/* Of all these processes, now; before the first stands what it took since then. */
GBytes *pulses_of(const GPtrArray *targets, int64_t start_cpu_us);

struct pulse_reader {
  const char *at;
  size_t left;
};

/* Behind what it took, in processor time of the worker. */
struct pulse_reader pulses_begin(GBytes *bytes, int64_t *cpu_us);

/* Without that in front. */
struct pulse_reader pulses_begin_kept(GBytes *bytes);

/* False at the end. `moment` has pulse->moment_bytes. */
bool pulses_next(struct pulse_reader *reader, struct pulse *pulse, const void **moment);

void pulses_append(GByteArray *bytes, const struct pulse *pulse, const void *moment);

#endif
