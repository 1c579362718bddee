/* SPDX-License-Identifier: MIT */
/* To be included behind core/sys.h and before the source that the explorer shall run: its threads are told apart as threads of a program
 * are, and whoever would wait for another one gives up the execution.
 */
#ifndef HEAPPROF_EXPLORED_THREADS_H
#define HEAPPROF_EXPLORED_THREADS_H

#include "tests/order/explorer.h"

#include <stddef.h>

/* Of a thread of the explorer: as far apart as blocks of threads are. */
static inline void *explored_thread_pointer(void)
{
  return (void *)(((uintptr_t)explorer_thread() + 1) << 16);
}

/* Gives up the core. */
static inline long explored_sys_call(long number, ...)
{
  (void)number;
  explorer_wait();
  return 0;
}

#define __builtin_thread_pointer explored_thread_pointer
#define arch_pause explorer_wait
#define sys_call explored_sys_call

#endif
