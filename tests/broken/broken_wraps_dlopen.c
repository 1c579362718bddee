/* SPDX-License-Identifier: MIT */
/* Allocator row 8: wraps dlopen, so that ld.so takes the shim for the caller, and looks in the shim's RUNPATH. */
#include "mini_shim.h"
void *dlopen(const char *name, int flags)
{
  void *(*next)(const char *, int);
  *(void **)&next = dlsym(RTLD_NEXT, "dlopen");
  void *handle = next(name, flags);
  __asm__ volatile("" ::: "memory"); /* not a tail call */
  return handle;
}
