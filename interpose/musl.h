/* SPDX-License-Identifier: MIT */
/* What glibc does for us and musl leaves to others.
 *
 * Threads, signals, fork: as what they stand in for.
 */
#ifndef HEAPPROF_MUSL_H
#define HEAPPROF_MUSL_H

#include <stddef.h>
#include <stdint.h>

/* glibc tells each constructor how the program was started. */
struct musl_start {
  char **argv, **environment;
  uintptr_t stack_top; /* nothing that the program calls lies above */
};

/* For the constructor. Where another one has moved the environment, the arguments are the program's name alone. */
struct musl_start musl_find_start(void);

/* Some functions of musl's allocator call others by their names, which are ours, and as musl's code has no unwind
 * information, a stack would end there. These call the ones given. */
struct musl_functions {
  void *(*malloc)(size_t size);
  void *(*realloc)(void *pointer, size_t size);
  void *(*aligned_alloc)(size_t alignment, size_t size);
};

struct musl_completion {
  void *(*calloc)(size_t count, size_t size);
  void *(*reallocarray)(void *pointer, size_t count, size_t size);
  int (*posix_memalign)(void **pointer, size_t alignment, size_t size);
  void *(*valloc)(size_t size);
};

struct musl_completion musl_complete(const struct musl_functions *functions);

#endif
