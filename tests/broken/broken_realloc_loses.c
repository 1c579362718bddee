/* SPDX-License-Identifier: MIT */
/* Allocator row 2: what a failed realloc leaves alive is forgotten. */
#define MINI_TABLE
#define MINI_REALLOC_FAILED(statement)
#include "mini_shim.h"
