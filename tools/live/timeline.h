/* SPDX-License-Identifier: MIT */
/* The past of a process as JSON (tools/report/src/timeline.js reads it): at each point the time in milliseconds,
 * in use, resident and allocated since the start, in bytes; and what its owners held where that is known.
 *
 * Failure: none.
 */
#ifndef HEAPPROF_TIMELINE_H
#define HEAPPROF_TIMELINE_H

#include "tools/live/owners.h"

#include <stdbool.h>

struct timeline;

struct timeline_point {
  int64_t time_unix_ns;
  double in_use_bytes, resident_bytes /* 0: not known */, allocated_bytes;
  bool is_known; /* what its owners held: then it is their next moment */
};

struct timeline *timeline_new(void);
void timeline_add(struct timeline *timeline, const struct timeline_point *point);

/* Frees it. `interval_seconds`: how often there is one more point; 0: never. */
GString *timeline_end(struct timeline *timeline, struct owners *owners, unsigned interval_seconds);

/* `pulses`: of one process (history.h); those that began at another time are left out, as of another. */
GString *timeline_json(struct owners *owners, GBytes *pulses, uint64_t created_unix_ns, unsigned interval_seconds);

#endif
