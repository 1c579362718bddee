/* SPDX-License-Identifier: MIT */
/* P5: the destructor gives back what later frees still look into, while other destructors run. */
#include <sys/mman.h>
#include <unistd.h>
static volatile char *table;
#define MINI_ON_LOAD table = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
#define MINI_ON_UNLOAD munmap((void *)table, 4096), usleep(2000)
#define MINI_ON_FREE(p)                                                                                                \
  if (table && (p))                                                                                                    \
  table[0]++
#include "mini_shim.h"
