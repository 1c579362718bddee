/* SPDX-License-Identifier: MIT */
/* A moment of a recording, named "FILE", "FILE@10:31", "FILE@PROCESS" or "FILE@PROCESS@10:31". What of it is meant is
 * for heapprof-record to find: it is executed, and its profile read from a pipe, so that SQLite is loaded where there
 * is a recording, and nowhere else.
 *
 * Memory: new texts and heaps. Failure: NULL and *error.
 */
#ifndef HEAPPROF_RECORDED_MOMENT_H
#define HEAPPROF_RECORDED_MOMENT_H

#include "tools/heap/heap.h"

/* Is it the name of a recording, or of a part of one? A file that is called so goes first. */
bool recorded_moment_is(const char *argument);

struct heap *recorded_moment_read(const char *argument, GError **error);

#endif
