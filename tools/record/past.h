/* SPDX-License-Identifier: MIT */
/* How a process came to what it holds: points over all its moments, for pictures.
 *
 * Failure: NULL and *error.
 */
#ifndef HEAPPROF_PAST_H
#define HEAPPROF_PAST_H

#include "tools/record/recorded.h"

struct past_point {
  int64_t time_ns, in_use_bytes, allocated_bytes, resident_bytes;
};

/* struct past_point, by time: the first and the last moment, and of each of `parts` parts of the time between them the
 * one at which most was in use. */
GArray *past_points(struct store *store, const struct process_row *row, unsigned parts, GError **error);

/* With its owners, as JSON (live/timeline.h). */
GString *past_json(struct recorded *recorded, const struct process_row *row, GError **error);

#endif
