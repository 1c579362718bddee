/* SPDX-License-Identifier: MIT */
/* A preload that does nothing: malloc and free, forwarded to glibc's. The floor for every profiler that is a preload. */
#include <dlfcn.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *pointer);

/* Not constant, or the compiler would call glibc's directly; constructors of other libraries may allocate before ours runs. */
static void *(*real_malloc)(size_t) = __libc_malloc;
static void (*real_free)(void *) = __libc_free;

__attribute__((constructor)) static void resolve(void)
{
  real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
}

void *malloc(size_t size)
{
  return real_malloc(size);
}

void free(void *pointer)
{
  real_free(pointer);
}
