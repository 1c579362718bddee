/* SPDX-License-Identifier: MIT */
/* For hz_u15_musl. With -DBROKEN it needs a function that nobody has. */
#include <stdlib.h>

extern void nobody_has_this(void);
static void *kept[5];

void *plugin_allocate(size_t size);

__attribute__((noinline)) void *plugin_allocate(size_t size)
{
  void *p = malloc(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
#ifdef BROKEN
  nobody_has_this();
#endif
  return p;
}

__attribute__((constructor)) static void victim_constructor(void)
{
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    kept[i] = plugin_allocate(100);
}
