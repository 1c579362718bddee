/* SPDX-License-Identifier: MIT */
/* The index of the live table: from the hash of a pointer to its node, at a constant load, whatever the number of
 * nodes.
 *
 * Linear hashing (W. Litwin, Linear hashing: a new tool for file and table addressing, VLDB 1980) by pages of 64
 * cache lines, each with seven slots and a count of the entries that wanted the line and went past it (M. Bronson and
 * others, Folly's F14). An entry lies in its home line or in the next free one of the same page, so that nearly every
 * look-up reads one line. The table grows by a page at a time, and half of the entries of one page move into it.
 *
 * Only the thread that owns a pointer (by the rules of malloc and free) adds or removes it. Whoever moves an entry
 * marks its slot first, and any thread can finish the move: nobody waits, whatever a stopped thread has left half
 * done. A slot of a new page takes what was moved there only once, so that a helper that comes too late changes
 * nothing.
 *
 * Threads, signals: lock-free; a handler may interrupt any step, and siglongjmp out of one. Memory: 12 to 24 bytes an
 * entry, in pieces that double, touched as they fill. Fork: copied on write; a child finishes what it finds. Failure:
 * live_index_add returns false when a page is full, which at this load only a refused growth makes likely.
 */
#ifndef HEAPPROF_LIVE_INDEX_H
#define HEAPPROF_LIVE_INDEX_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline uint64_t live_index_hash(const void *pointer)
{
  uint64_t hash = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u;
  return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* The node holds its part of the hash already. */
SAMPLED bool live_index_add(uint64_t hash, uint32_t node);

/* Takes it out; 0 when there is none. */
SAMPLED uint32_t live_index_remove(uint64_t hash);

/* Visits every entry that is there from begin to end; one that is moved meanwhile perhaps twice. */
void live_index_each(void (*visit)(uint32_t node, void *argument), void *argument);

/* Brings the home line of a pointer into the cache, where the table is too large to be there anyway. */
void live_index_prefetch_line(uint64_t hash);
extern HIDDEN _Atomic uint32_t live_index_pages;

/* In place of a number of pages: there is no index, for exact mode does without (live_exact.h). */
#define LIVE_INDEX_NONE UINT32_MAX

static ALWAYS_INLINE bool live_index_is_none(void)
{
  return UNLIKELY(atomic_load_explicit(&live_index_pages, memory_order_relaxed) == LIVE_INDEX_NONE);
}

/* Too large for the caches near the core; where there is none, what stands for it may be. */
static ALWAYS_INLINE bool live_index_is_large(void)
{
  enum { SMALL_PAGES = 64 }; /* 256 KiB */
  return UNLIKELY(atomic_load_explicit(&live_index_pages, memory_order_relaxed) > SMALL_PAGES);
}

#endif
