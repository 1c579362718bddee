/* SPDX-License-Identifier: MIT */
/* Start and stop, in one list each. The start is a constructor: nothing that allocates or takes a libc lock waits for
 * the first malloc. The stop tears nothing down: other threads may still be in here, and frees come after it.
 *
 * Threads, signals: exit may come from any thread or handler. Failure: the shim goes inert, with a reason (inert.h).
 */
#ifndef HEAPPROF_LIFECYCLE_H
#define HEAPPROF_LIFECYCLE_H

/* In a process that has been running (late.h), in this order. Settings are NAME=value, each with a terminator; an
 * empty one ends them: the environment may be changing, so it is not read. NULL, or the reason why not: nothing has
 * changed then. Afterwards sampling is stopped, and may be started. */
const char *lifecycle_may_begin_late(const char *name, const char *settings);
const char *lifecycle_begin_late(void);

/* The process ends: writes the profile if it is wanted and this process is the one that the region describes, then
 * removes the state file. Only the first call does anything. */
void lifecycle_exit(const char *reason);

/* The same by a function that was given the status. */
void lifecycle_exit_by(const char *function, int status);

#endif
