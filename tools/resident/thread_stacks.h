/* SPDX-License-Identifier: MIT */
/* Where the stacks of threads end: glibc puts a thread's descriptor on top of its stack, and tells the kernel where a
 * part of it lies, the list of robust mutexes. Reading that is allowed to whoever may read smaps, and does not
 * disturb. */
#ifndef HEAPPROF_THREAD_STACKS_H
#define HEAPPROF_THREAD_STACKS_H

#include <glib.h>

/* The address of each thread's descriptor, uint64_t; the first thread's is not on its stack. */
GArray *thread_stacks_of(int pid);

#endif
