/* SPDX-License-Identifier: MIT */
/* A moment of a recording, named "FILE", "FILE@10:31", "FILE@PROCESS" or "FILE@PROCESS@10:31". Of one word it is seen
 * whether it is a time; behind two @ there is one whatever it looks like, and before it a process, or nothing. What of
 * it is meant is for heapprof-record to find: it is executed, and its profile read from a pipe, so that SQLite is
 * loaded where there is a recording, and nowhere else.
 *
 * Memory: new texts and heaps. Failure: NULL and *error.
 */
#ifndef HEAPPROF_RECORDED_MOMENT_H
#define HEAPPROF_RECORDED_MOMENT_H

#include "tools/heap/heap.h"

/* Is it the name of a recording, or of a part of one? A file that is called so goes first. */
bool recorded_moment_is(const char *argument);

/* A recording itself. */
bool recorded_moment_is_file(const char *path);

/* The name of a moment. NULL: the only process there is, the last moment. */
char *recorded_moment_name(const char *path, const char *process, const char *time);

struct heap *recorded_moment_read(const char *argument, GError **error);

#endif
