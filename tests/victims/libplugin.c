/* SPDX-License-Identifier: MIT */
/* A library that allocates, for dlopen.c. */
#include <stddef.h>
#include <stdlib.h>

void *victim_plugin_allocate(size_t size);

__attribute__((noinline)) void *victim_plugin_allocate(size_t size)
{
  void *p = malloc(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}
