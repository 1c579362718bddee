/* SPDX-License-Identifier: MIT */
/* Allocator row 1: the real free first; the address may be somebody else's when it leaves the table. */
#define MINI_TABLE
#define MINI_BEFORE(statement)
#define MINI_AFTER(statement) sched_yield(), statement
#include "mini_shim.h"
