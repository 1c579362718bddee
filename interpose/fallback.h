/* SPDX-License-Identifier: MIT */
/* What stands behind an optional hook whose real function is missing.
 *
 * Because we export mallocx, a program that looks it up finds ours; because we export operator new, a plugin that
 * brought its own libstdc++ with RTLD_LOCAL calls ours. So every optional hook must work on its own, on top of the
 * hooked C functions (which count).
 *
 * Threads, signals: as malloc. Failure: as the function's manual says, with errno.
 */
#ifndef HEAPPROF_FALLBACK_H
#define HEAPPROF_FALLBACK_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <stddef.h>

#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) HIDDEN type fallback_##symbol parameters;
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK

#endif
