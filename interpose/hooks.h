/* SPDX-License-Identifier: MIT */
/* The hooks: functions by which the application allocates, with the real ones behind them.
 *
 * The protocol, for all of them (I8): the real function is called with what the application gave, and its result is
 * returned untouched. An allocation is recorded after the real call and before the return. A free or a resize takes the
 * pointer out of the live table before the real call, because afterwards another thread may be given the same address;
 * a resize that failed puts it back. One request is counted once, by the outermost hook. errno is what the real
 * function left. The stack may be aligned in any way: what a hook calls, it calls from a function marked ARCH_ENTRY
 * (hazard A9).
 */
#ifndef HEAPPROF_HOOKS_H
#define HEAPPROF_HOOKS_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <stddef.h>

/* A hook is defined only here and in its .c file; the system's headers give some of them other attributes. */
#define HEAPPROF_HOOK(symbol, group, need, type, parameters, what) EXPORT type symbol parameters;
#include "interpose/hooks.def"
#undef HEAPPROF_HOOK

#endif
