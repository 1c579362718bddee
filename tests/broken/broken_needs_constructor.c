/* SPDX-License-Identifier: MIT */
/* S3: believes that its constructor runs before anybody allocates much. */
static int loaded;
#define MINI_ON_LOAD loaded = 1
#define MINI_ON_ALLOC(size)                                                                                            \
  if ((size) < 100000 && !loaded)                                                                                      \
  abort()
#include "mini_shim.h"
