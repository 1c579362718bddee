/* SPDX-License-Identifier: MIT */
/* A process that somebody wants to attach to: which one is meant, and what speaks against it. Nothing of it is touched.
 *
 * Failure: NULL or false and *error, one line that says what to do about it, where something can be done.

 */
#ifndef HEAPPROF_CANDIDATE_H
#define HEAPPROF_CANDIDATE_H

#include <glib.h>
#include <stdbool.h>

/* By its id, or its name if only one is called so: by which it was called, of its file, or that it has given itself. */
bool candidate_find(const char *operand, int *pid, GError **error);

/* The name that it was called by, as under a preload, or else of its file. To be freed. */
char *candidate_name(int pid);

/* Before anything is asked of the kernel that it could notice. */
bool candidate_check(int pid, GError **error);

/* Does a limit leave it memory for more than the library? */
bool candidate_check_memory(int pid, GError **error);

/* Why the kernel lets nobody trace it, after a refusal with that errno. `yama` is where it keeps that setting. */
void candidate_explain(int pid, int number, const char *yama, GError **error);

#define CANDIDATE_YAMA "/proc/sys/kernel/yama/ptrace_scope"

/* Does it see the same files under the same names? */
bool candidate_shares_files(int pid);

/* A variable of the environment that it was started with; NULL: not set. To be freed. */
char *candidate_variable(int pid, const char *name);

#endif
