/* SPDX-License-Identifier: MIT */
/* A moment of a process as a heap with names, as a dump of then would have been.
 *
 * Memory: a heap of its own. Failure: NULL or false and *error.
 */
#ifndef HEAPPROF_MOMENT_H
#define HEAPPROF_MOMENT_H

#include "tools/record/process_row.h"
#include "tools/record/values.h"

/* The last one that is not after *time_ns, whose time that becomes. */
struct heap *moment_read(struct store *store, const struct texts *texts, int64_t process, int64_t *time_ns,
                         GError **error);

/* Gives values to stacks that have none yet. */
bool moment_fill(struct heap *stacks, const struct values *values, int64_t time_ns, GError **error);

#endif
