/* SPDX-License-Identifier: MIT */
/* Allocator row 5: operator new and the malloc in it are two. */
#define MINI_TABLE
#define MINI_NESTED true
#include "mini_shim.h"
