/* SPDX-License-Identifier: MIT */
/* source/: what a person names (a process, a state file, a profile) becomes a heap with names. One thread; failures are
 * NULL and *error.
 *
 * What the viewing commands take: a process id, a state file, a profile, or a moment of a recording. Frames that
 * profiles ask readers to drop are dropped, so that the leaf is the caller of malloc.
 */
#ifndef HEAPPROF_SOURCE_H
#define HEAPPROF_SOURCE_H

#include "tools/heap/heap.h"
#include "tools/state/targets.h"
#include "tools/symbols/symbols.h"

#include <sys/types.h>

/* NULL and *error. Processes and state files get names, and with `detail` SYMBOLS_LINES inlined frames and lines;
 * profiles too, where they have none yet. A file in the current directory whose name is a number is meant with "./";
 * a name without a slash may be that of a process. */
struct heap *source_open(const char *argument, enum symbols_detail detail, GError **error);

/* The same, of what the process mapped itself: a process, its state file, or a profile of that. */
struct heap *source_open_mapped(const char *argument, enum symbols_detail detail, GError **error);

/* Of a process that was found, that with what of it is resident (target_read_resident). */
struct heap *source_open_resident(const struct target *target, GHashTable *resident, enum symbols_detail detail,
                                  GError **error);

/* Of a process that was found, the same. */
struct heap *source_open_target(const struct target *target, enum region_moment moment, enum symbols_detail detail,
                                GError **error);

/* The process that is meant by its id, or by the name of its program where there is no such file. NULL: none is; with
 * *error, there is none of that id, there are several of that name, or there is neither a process nor a file of that
 * name. */
struct target *source_find_process(const char *argument, GError **error);

/* Could it be opened: is it a process that is profiled, or a file? */
bool source_exists(const char *argument);

/* Is it a process id? */
bool source_is_pid(const char *argument, int *pid);

/* Whose file that is: the process was that user's. Of what is no file, us. */
uid_t source_owner(const char *path);

/* Is it the name of a state file? */
bool source_is_state_file(const char *argument);

/* Applies drop_frames and keep_frames as pprof does. An expression that is not valid is ignored. */
void source_drop_frames(struct heap *heap);

#endif
