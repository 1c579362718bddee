/* SPDX-License-Identifier: MIT */
/* P5: the destructor waits for whoever is in the middle of an allocation. */
#include <stdbool.h>
static volatile bool busy;
static void work(void)
{
  busy = true;
  for (volatile int i = 0; i < 2000; i++)
    ;
  busy = false;
}
#define MINI_ON_ALLOC(size) ((void)(size), work())
#define MINI_ON_UNLOAD                                                                                                 \
  while (busy)                                                                                                         \
  sched_yield()
#include "mini_shim.h"
