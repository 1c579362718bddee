/* SPDX-License-Identifier: MIT */
/* The past of a process as JSON (tools/report/src/timeline.js reads it): at each point the time in milliseconds,
 * in use, resident and allocated since the start, in bytes; and what its owners held where that is known.
 *
 * Failure: none.
 */
#ifndef HEAPPROF_TIMELINE_H
#define HEAPPROF_TIMELINE_H

#include "tools/live/owners.h"

/* `pulses`: of one process (history.h); those that began at another time are left out, as of another.
 * `interval_seconds`: how often there is one more; 0: never. */
GString *timeline_json(struct owners *owners, GBytes *pulses, uint64_t created_unix_ns, unsigned interval_seconds);

#endif
