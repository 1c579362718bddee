/* SPDX-License-Identifier: MIT */
/* The page filter in front of free: does the page of this pointer hold a sampled object, and could it be this one?
 *
 * One byte per page, indexed by the upper 20 bits of the low 32 of the address: frees near each other share a cache
 * line, and at one sample per 512 KiB one page in 128 has a byte that is not 0. Its lower half counts the sampled
 * objects of the page. Its upper half has a bit for each of four classes that objects fall into by their address, so
 * that three of four other objects of the page are told from a single sampled one without another load. A false
 * positive costs a look-up. There are no false negatives: the byte is raised before the object enters the live table
 * and lowered after it has left. A count that has reached 15 stays there; the bits are cleared when the count is back
 * at 0.
 *
 * Threads, signals: lock-free. Memory: 1 MiB of .bss, one page of it per 16 MiB of heap is ever touched. Fork: copied
 * on write.
 */
#ifndef HEAPPROF_LIVE_FILTER_H
#define HEAPPROF_LIVE_FILTER_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIVE_FILTER_PAGE_SHIFT = 12, LIVE_FILTER_BYTES = 1 << 20, LIVE_FILTER_COUNT_MAX = 15 };

extern HIDDEN _Atomic uint8_t live_filter[LIVE_FILTER_BYTES];

static ALWAYS_INLINE _Atomic uint8_t *live_filter_of(const void *pointer)
{
  return &live_filter[(uint32_t)(uintptr_t)pointer >> LIVE_FILTER_PAGE_SHIFT];
}

static ALWAYS_INLINE bool live_filter_may_hold(const void *pointer)
{
  return arch_is_set(live_filter_of(pointer));
}

/* The bit of this object in the byte of its page. */
static ALWAYS_INLINE uint8_t live_filter_bit_of(const void *pointer)
{
  return (uint8_t)(0x10 << ((uint32_t)((uintptr_t)pointer >> 4) * 0x9e3779b1u >> 30));
}

static ALWAYS_INLINE bool live_filter_may_be(const void *pointer)
{
  return (atomic_load_explicit(live_filter_of(pointer), memory_order_relaxed) & live_filter_bit_of(pointer)) != 0;
}

/* The second filter, by object instead of page: one load tells most objects of a page with a sample from it. */
SAMPLED bool live_filter_may_be_object(const void *pointer, uint64_t hash);

/* Both filters, for a sampled object. `hash`: of the pointer (live_index.h). */
SAMPLED void live_filter_raise(const void *pointer, uint64_t hash);
SAMPLED void live_filter_lower(const void *pointer, uint64_t hash);

/* Both let the object through from now on. For exact mode. */
SAMPLED_EXACT void live_filter_hold_forever(const void *pointer, uint64_t hash);

/* Marks the page of `pointer` for good, so that free looks twice at it. For the bootstrap arena. */
void live_filter_mark_forever(const void *pointer);

#endif
