/* SPDX-License-Identifier: MIT */
/* Allocator row 4: an exception skips the line that resets the guard. */
#define MINI_TABLE
#define MINI_LEAVE
#include "mini_shim.h"
