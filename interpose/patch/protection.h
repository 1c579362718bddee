/* SPDX-License-Identifier: MIT */
/* What a process may do with pages of code now, by /proc/thread-self/maps: a program may have changed it since its file
 * was mapped. Another thread may change it again.
 *
 * Threads: one at a time. Memory: fixed. Failure: a reason.
 */
#ifndef HEAPPROF_PROTECTION_H
#define HEAPPROF_PROTECTION_H

#include "core/compiler.h"

#include <stddef.h>
#include <stdint.h>

/* NULL: all of them, in ascending order, are private, read and executed, and not written. */
HIDDEN const char *protection_check(const uintptr_t *pages, size_t count);

#endif
