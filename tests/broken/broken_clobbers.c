/* SPDX-License-Identifier: MIT */
/* Allocator row 6: arithmetic in vector registers on every call, and an errno that it leaves behind. */
#define MINI_ON_FREE(p) (void)(p), kept = ENOENT
#define MINI_ON_ALLOC(size) __asm__ volatile("cvtsi2sd %0, %%xmm9" : : "r"((size)) : "xmm9")
#include "mini_shim.h"
