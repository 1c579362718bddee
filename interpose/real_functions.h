/* SPDX-License-Identifier: MIT */
/* The table of the real functions, which real.h fills: apart, for those who change it while that is done.
 *
 * Threads, signals, fork: constant once real_ensure has returned. Failure: gaps are filled by means of others
 * (fallback.h), but in the core functions.
 */
#ifndef HEAPPROF_REAL_FUNCTIONS_H
#define HEAPPROF_REAL_FUNCTIONS_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct real_functions {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) type(*symbol) parameters;
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

extern HIDDEN struct real_functions real;

/* Does the real function come from the object that provides malloc? Then its hook counts; else what it calls is
 * counted. */
struct real_origins {
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) bool symbol;
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK
};

extern HIDDEN struct real_origins real_is_allocators;

#endif
