/* SPDX-License-Identifier: MIT */
/* Code that the program made itself, as it told the C runtime (__register_frame): where its .eh_frame lies, and what
 * code that speaks of. LLVM's JIT does so.
 *
 * Threads, signals: safe, without a lock. Memory: 40 KiB of .bss, touched as it fills; REGISTERED_MAX at a time, more
 * are not followed. Fork: copied on write. Failure: what is not well-formed, not readable or too long is not followed.
 */
#ifndef HEAPPROF_CFI_REGISTERED_H
#define HEAPPROF_CFI_REGISTERED_H

#include "core/cfi/eh_frame.h"

#include <stdbool.h>
#include <stdint.h>

enum { REGISTERED_MAX = 1024, REGISTERED_BYTES_MAX = 1 << 20 };

/* The entries at `begin`, up to a length of 0. The bytes stay until registered_remove. */
void registered_add(uintptr_t begin);

/* After it nobody reads them. */
void registered_remove(uintptr_t begin);

/* The next one whose code may hold the pc, from *position = 0 on: its bytes, which start with the first entry. Between
 * readers_enter and readers_leave. */
bool registered_next(uintptr_t pc, unsigned *position, struct eh_frame_span *span);

#endif
