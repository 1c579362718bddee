/* SPDX-License-Identifier: MIT */
/* The only pthread_atfork there is: it holds the shim's locks across fork(), so that no child inherits one that is
 * taken, nor a descriptor that is open for a moment. fork() may wait up to a tenth of a
 * second for that, then goes on without. vfork and raw clone run no handlers; process.c handles those.
 *
 * Threads: fork may be called from any. Failure: a lock that cannot be had in time is taken for lost, and the child
 * does without what it guards.
 */
#ifndef HEAPPROF_FORK_H
#define HEAPPROF_FORK_H

/* From the constructor only: pthread_atfork may allocate. */
void fork_init(void);

#endif
