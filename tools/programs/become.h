/* SPDX-License-Identifier: MIT */
/* programs/: what is executed: which commands each program has, and which program a command becomes.
 *
 * Becoming a program that lies beside this one.
 *
 * Failure: it returns, after a message.
 */
#ifndef HEAPPROF_BECOME_H
#define HEAPPROF_BECOME_H

/* `arguments` end with NULL. Returns the exit status. */
int become(const char *name, char *const *arguments);

#endif
