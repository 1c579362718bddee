/* SPDX-License-Identifier: MIT */
/* The one door from the state of a process, alive or dead, to a heap with names.
 *
 * Threads: one at a time. Failure: NULL and *error; what is missing but can be lived with is said on standard error.
 */
#ifndef HEAPPROF_PROCESS_HEAP_H
#define HEAPPROF_PROCESS_HEAP_H

#include "tools/state/targets.h"
#include "tools/symbols/symbols.h"

/* Of a state file, as it is now. Root may read everybody's, others their own. */
struct heap *process_heap_of_file(const char *path, enum region_moment moment, GError **error);

/* Of a process that was found. `reason` goes into the comments. */
struct heap *process_heap_of_target(const struct target *target, enum region_moment moment, const char *reason,
                                    GError **error);

/* Gives names to the locations, those of code that the process generated too; `owner`: whose process it was. With
 * `says_problems`, each problem is said, once however many heaps have it. */
bool process_heap_add_names(struct heap *heap, const struct symbols_options *options, uid_t owner, bool says_problems);

#endif
