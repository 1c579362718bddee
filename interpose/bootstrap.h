/* SPDX-License-Identifier: MIT */
/* A small static arena for what dlsym asks of us while it looks up the real malloc. Nothing is given back.
 *
 * Threads, signals: lock-free. Failure: NULL when the arena is used up.
 */
#ifndef HEAPPROF_BOOTSTRAP_H
#define HEAPPROF_BOOTSTRAP_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, aligned to 16 bytes. Its pages are marked in the page filter. */
void *bootstrap_get(size_t size);

bool bootstrap_is_used(void);

enum { BOOTSTRAP_ARENA_BYTES = 256 << 10 };
extern HIDDEN char bootstrap_arena[BOOTSTRAP_ARENA_BYTES];

static ALWAYS_INLINE bool bootstrap_owns(const void *pointer)
{
  return (uintptr_t)pointer - (uintptr_t)bootstrap_arena < BOOTSTRAP_ARENA_BYTES;
}

/* Bytes from the pointer to the end of its block. */
size_t bootstrap_size(const void *pointer);

#endif
