/* SPDX-License-Identifier: MIT */
/* G5: the guard is a flag that the way out resets. Whoever jumps over it leaves it set. */
#define MINI_TABLE
#define MINI_ON_ALLOC(size)                                                                                            \
  for (volatile size_t i = (size); i < 5000; i++)                                                                      \
    ;
#include "mini_shim.h"
