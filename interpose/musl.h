/* SPDX-License-Identifier: MIT */
/* What glibc does for us and musl leaves to others.
 *
 * Threads, signals, fork: as what they stand in for.
 */
#ifndef HEAPPROF_MUSL_H
#define HEAPPROF_MUSL_H

#include <stdint.h>

/* glibc tells each constructor how the program was started. */
struct musl_start {
  char **argv, **environment;
  uintptr_t stack_top; /* nothing that the program calls lies above */
};

/* For the constructor. Where another one has moved the environment, the arguments are the program's name alone. */
struct musl_start musl_find_start(void);

/* Some functions of musl's allocator call others by their names, which are ours, and as musl's code has no unwind
 * information, a stack would end there. Puts functions in their place that call the real ones. */
void musl_complete(void);

#endif
