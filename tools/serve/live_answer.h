/* SPDX-License-Identifier: MIT */
/* What the page of a process asks for, as JSON that tools/report/src/ reads.
 *
 * Memory: the text is the caller's. Failure: NULL and *error.
 */
#ifndef HEAPPROF_LIVE_ANSWER_H
#define HEAPPROF_LIVE_ANSWER_H

#include "tools/state/targets.h"

/* The heap of now (views/heap_json.h). */
GString *live_answer_heap(const struct target *target, GError **error);

/* Its past (live/timeline.h). `pulses` may be NULL. */
GString *live_answer_timeline(const struct target *target, GBytes *pulses, unsigned interval_seconds, GError **error);

/* The difference of two moments: of the first two pulses, which are of this process. */
GString *live_answer_change(const struct target *target, GBytes *pulses, GError **error);

#endif
