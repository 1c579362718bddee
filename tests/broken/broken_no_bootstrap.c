/* SPDX-License-Identifier: MIT */
/* S1: dlsym in the first malloc or calloc, and no thought of what dlsym itself may allocate. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#define FORWARD(result, name, parameters, ...)                                                                         \
  result name parameters                                                                                               \
  {                                                                                                                    \
    static result(*next) parameters;                                                                                   \
    if (!next)                                                                                                         \
      *(void **)&next = dlsym(RTLD_NEXT, #name);                                                                       \
    return next(__VA_ARGS__);                                                                                          \
  }
FORWARD(void *, malloc, (size_t size), size)
FORWARD(void *, calloc, (size_t count, size_t size), count, size)
FORWARD(void *, realloc, (void *p, size_t size), p, size)
FORWARD(void, free, (void *p), p)
