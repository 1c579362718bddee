/* SPDX-License-Identifier: MIT */
/* U10: a library to preload, whose constructor allocates. */
#include <stdlib.h>

void *volatile constructor_kept;

__attribute__((noinline)) static void victim_in_constructor(void)
{
  constructor_kept = malloc(1000);
  __asm__ volatile("" ::: "memory");
}

__attribute__((constructor)) static void victim_constructor(void)
{
  victim_in_constructor();
  __asm__ volatile("" ::: "memory");
}
