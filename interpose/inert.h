/* SPDX-License-Identifier: MIT */
/* When and why the shim stands aside: it then forwards every call and does nothing else, for good.
 *
 * The reason is kept for heapprof_stats and for the (empty) profiles that are asked for. It is said on standard error
 * only where a person reads that, or HEAPPROF_VERBOSE asks: the shim reaches every child process, and their output is
 * not ours.
 *
 * Threads: from the constructor. Signals, fork: reading is safe everywhere.
 */
#ifndef HEAPPROF_INERT_H
#define HEAPPROF_INERT_H

#include "core/config.h"

#include <stdbool.h>

/* NULL: this process can be profiled. */
const char *inert_find_reason(void);

/* What held before does not any more. */
void inert_leave(void);

void inert_enter(const char *reason, bool is_announced);

/* NULL: profiling. */
const char *inert_reason(void);

#endif
