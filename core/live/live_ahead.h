/* SPDX-License-Identifier: MIT */
/* Fetches what the live table will need next, where objects lie one behind the other: programs that build something
 * allocate so, and free so again. The index has each of them at a random place, a miss of the cache and of the TLB;
 * the line is fetched while the program is at work, two objects ahead. A wrong guess ends the run, and nothing more is
 * fetched until one was right.
 *
 * Threads: those with the same number disturb each other's runs, which costs time only. Signals: a handler's objects
 * end the run. Memory: 8 KiB of .bss, touched once the index is large. */
#ifndef HEAPPROF_LIVE_AHEAD_H
#define HEAPPROF_LIVE_AHEAD_H

#include "core/compiler.h"
#include "core/live/live_index.h"

#include <stddef.h>

void live_ahead_of_allocated(const void *pointer, size_t size_bytes);
void live_ahead_of_freed(const void *pointer, size_t size_bytes);

static ALWAYS_INLINE void live_ahead_allocated(const void *pointer, size_t size_bytes)
{
  if (live_index_is_large())
    live_ahead_of_allocated(pointer, size_bytes);
}

static ALWAYS_INLINE void live_ahead_freed(const void *pointer, size_t size_bytes)
{
  if (live_index_is_large())
    live_ahead_of_freed(pointer, size_bytes);
}

#endif
