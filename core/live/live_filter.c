/* SPDX-License-Identifier: MIT */
#include "core/live/live_filter.h"

LARGE _Atomic uint8_t live_filter[LIVE_FILTER_BYTES];

/* A second filter, by object instead of page: saturating counts of four bits. On a page with a sample most objects are
 * not samples, and one load tells them from it. Raised and lowered with the first. The address chooses the page of the
 * filter, so that a small heap touches few pages; the hash chooses the place in the page. */
enum {
  OBJECT_FILTER_BYTES = 1 << 18,
  OBJECT_FILTER_PAGE_BYTES = 1 << 12,
  OBJECT_FILTER_REGION_SHIFT = 20, /* of the heap, which shares a page of the filter */
  OBJECT_FILTER_COUNT_MAX = 15,
};
static _Alignas(OBJECT_FILTER_PAGE_BYTES) _Atomic uint8_t object_filter[OBJECT_FILTER_BYTES];

static _Atomic uint8_t *object_filter_of(const void *pointer, uint64_t hash)
{
  size_t page = ((uintptr_t)pointer >> OBJECT_FILTER_REGION_SHIFT) * OBJECT_FILTER_PAGE_BYTES % OBJECT_FILTER_BYTES;
  return &object_filter[page + (hash >> 12) % OBJECT_FILTER_PAGE_BYTES];
}

/* Which half of the byte is this object's count. */
static unsigned object_filter_shift(uint64_t hash)
{
  return hash >> 31 & 4;
}

/* The filters. All relaxed: who may free an object got it from a thread that had raised them for it. */

static uint8_t raised_page(uint8_t byte, uint8_t bit)
{
  return (byte & LIVE_FILTER_COUNT_MAX) == LIVE_FILTER_COUNT_MAX ? byte | bit : (uint8_t)(byte + 1) | bit;
}

static uint8_t lowered_page(uint8_t byte)
{
  uint8_t count = byte & LIVE_FILTER_COUNT_MAX;
  if (count == LIVE_FILTER_COUNT_MAX || count == 0)
    return byte;
  return count == 1 ? 0 : byte - 1;
}

/* What is saturated is not written: in exact mode that is nearly every byte. */

static ALWAYS_INLINE void page_raise(const void *pointer)
{
  _Atomic uint8_t *page = live_filter_of(pointer);
  uint8_t old = atomic_load_explicit(page, memory_order_relaxed), bit = live_filter_bit_of(pointer);
  while (raised_page(old, bit) != old &&
         !atomic_compare_exchange_weak_explicit(page, &old, raised_page(old, bit), memory_order_relaxed,
                                                memory_order_relaxed))
    ;
}

static ALWAYS_INLINE void page_lower(const void *pointer)
{
  _Atomic uint8_t *page = live_filter_of(pointer);
  uint8_t old = atomic_load_explicit(page, memory_order_relaxed);
  while (lowered_page(old) != old && !atomic_compare_exchange_weak_explicit(page, &old, lowered_page(old),
                                                                            memory_order_relaxed, memory_order_relaxed))
    ;
}

static ALWAYS_INLINE void object_raise(const void *pointer, uint64_t hash)
{
  _Atomic uint8_t *counts = object_filter_of(pointer, hash);
  uint8_t old = atomic_load_explicit(counts, memory_order_relaxed),
          max = OBJECT_FILTER_COUNT_MAX << object_filter_shift(hash);
  while ((old & max) != max &&
         !atomic_compare_exchange_weak_explicit(counts, &old, (uint8_t)(old + (1 << object_filter_shift(hash))),
                                                memory_order_relaxed, memory_order_relaxed))
    ;
}

static ALWAYS_INLINE void object_lower(const void *pointer, uint64_t hash)
{
  _Atomic uint8_t *counts = object_filter_of(pointer, hash);
  uint8_t old = atomic_load_explicit(counts, memory_order_relaxed),
          max = OBJECT_FILTER_COUNT_MAX << object_filter_shift(hash);
  while ((old & max) != max && (old & max) != 0 &&
         !atomic_compare_exchange_weak_explicit(counts, &old, (uint8_t)(old - (1 << object_filter_shift(hash))),
                                                memory_order_relaxed, memory_order_relaxed))
    ;
}

void live_filter_raise(const void *pointer, uint64_t hash)
{
  page_raise(pointer);
  object_raise(pointer, hash);
}

void live_filter_lower(const void *pointer, uint64_t hash)
{
  page_lower(pointer);
  object_lower(pointer, hash);
}

void live_filter_hold_forever(const void *pointer, uint64_t hash)
{
  _Atomic uint8_t *counts = object_filter_of(pointer, hash);
  uint8_t max = (uint8_t)(OBJECT_FILTER_COUNT_MAX << object_filter_shift(hash)),
          old = atomic_load_explicit(counts, memory_order_relaxed);
  if (UNLIKELY(atomic_load_explicit(live_filter_of(pointer), memory_order_relaxed) != UINT8_MAX))
    live_filter_mark_forever(pointer);
  while (UNLIKELY((old & max) != max) &&
         !atomic_compare_exchange_weak_explicit(counts, &old, old | max, memory_order_relaxed, memory_order_relaxed))
    ;
}

void live_filter_mark_forever(const void *pointer)
{
  atomic_store_explicit(live_filter_of(pointer), UINT8_MAX, memory_order_relaxed);
}

bool live_filter_may_be_object(const void *pointer, uint64_t hash)
{
  uint8_t counts = atomic_load_explicit(object_filter_of(pointer, hash), memory_order_relaxed);
  return (counts >> object_filter_shift(hash) & OBJECT_FILTER_COUNT_MAX) != 0;
}
