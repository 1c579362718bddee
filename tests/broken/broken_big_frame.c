/* SPDX-License-Identifier: MIT */
/* U6: 12 KiB of stack for every allocation, wherever it is made. */
#define MINI_ON_ALLOC(size)                                                                                            \
  volatile char frame[12288];                                                                                          \
  for (size_t i = 0; i < sizeof frame; i += 1024)                                                                      \
  frame[i] = (char)(size)
#include "mini_shim.h"
