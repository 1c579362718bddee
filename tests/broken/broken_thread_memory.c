/* SPDX-License-Identifier: MIT */
/* U5, S5: every thread gets a state of 16 KiB, which nobody takes back. */
#include <sys/mman.h>
static __thread char *state;
#define MINI_ON_ALLOC(size)                                                                                            \
  if (!state) {                                                                                                        \
    state = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);                             \
    memset(state, (int)(size), 16384);                                                                                 \
  }
#include "mini_shim.h"
