/* SPDX-License-Identifier: MIT */
/* A thread of another process as /proc shows it, which disturbs nothing: may it be interrupted now?
 *
 * Failure: one that has ended may be.
 */
#ifndef HEAPPROF_ATTACH_TASK_H
#define HEAPPROF_ATTACH_TASK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* pid_t. The first thread comes last. To be freed. */
GArray *task_threads(pid_t process);

/* A descriptor of one of its files, -1: none. */
int task_open(pid_t process, pid_t thread, const char *name);

/* One of the short files that the kernel has of it, by few system calls. False: there is nothing. */
bool task_read_text(pid_t process, pid_t thread, const char *name, char *text, size_t size);

/* A number in the text of its status; `name` begins with a newline, and ends with the colon. */
uint64_t task_number_in(const char *status, const char *name, int base);

/* How long it has had a processor. */
uint64_t task_run_ns(pid_t process, pid_t thread);

/* It executes nothing of the program (a worker of io_uring). */
bool task_is_of_kernel(pid_t process, pid_t thread);

/* A thread that has ended is waited for by nobody. */
bool task_has_ended(pid_t process, pid_t thread);

/* In another pid namespace it may be another one: then false, mostly. */
bool task_is_waiting(pid_t process, pid_t thread);

/* Does it wait for a lock, while signals wait for it that `mask` does not block? */
bool task_is_held_up(pid_t process, pid_t thread, uint64_t mask);

/* Answers of the next: the machine is busy; TASK_GOES_ON was asked. */
extern const char task_in_unknown_place[], task_would_begin_anew[];

/* What is asked of the call that it waits in: after an interruption it goes on where it was; or, at least, begins
 * anew. */
enum task_begins { TASK_GOES_ON, TASK_BEGINS_ANEW };

/* NULL: it may be. It may not where a call would come back with a part of what it was to transfer, nor where
 * nothing stops it (the parent of a vfork, a slow disk). One that runs is looked at some times: who transfers much
 * does little else, but does not wait all the time. */
const char *task_why_not_for_now(pid_t process, pid_t thread, enum task_begins begins);

#endif
