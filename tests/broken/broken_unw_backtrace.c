/* SPDX-License-Identifier: MIT */
/* U1, U4, U5: unw_backtrace in malloc, as it comes: its pipe on low descriptors, its mutexes, its cache. Link: -lunwind */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#define MINI_ON_ALLOC(size) (void)((size) + unw_backtrace((void *[64]){0}, 64))
#include "mini_shim.h"
