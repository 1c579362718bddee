/* SPDX-License-Identifier: MIT */
/* The only pthread_atfork there is: it holds the shim's locks across fork(), so that no child inherits one that is taken, nor
 * libunwind's own mutex, nor a descriptor that is open for a moment. fork() may wait up to a tenth of a second for that, then
 * goes on without. vfork and raw clone run no handlers; process.c sees to those. */
#ifndef HEAPPROF_FORK_H
#define HEAPPROF_FORK_H

/* From the constructor only: pthread_atfork may allocate. */
void fork_init(void);

#endif
