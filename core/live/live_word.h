/* SPDX-License-Identifier: MIT */
/* What exact mode knows of a live object, in a word: its place in its block of the heap, its stack, and its size.
 *
 * Of objects that such a word has no room for it has the number of a node (live_node.h), which says the rest: those of
 * 64 MiB and more, and those at odd addresses.
 */
#ifndef HEAPPROF_LIVE_WORD_H
#define HEAPPROF_LIVE_WORD_H

#include "core/live/live_directory.h"
#include "core/live/live_entry.h"

/* From the low end: the stack, the size, or instead of both the node; the last adoption that visited it; is it a node;
 * the place; and 1. A word of 0 is a free slot. */
enum {
  LIVE_WORD_STACK_BITS = 25,
  LIVE_WORD_SIZE_BITS = 26,
  LIVE_WORD_ADOPTION_SHIFT = LIVE_WORD_STACK_BITS + LIVE_WORD_SIZE_BITS,
  LIVE_WORD_ADOPTION_BITS = LIVE_NODE_ADOPTION_BITS,
  LIVE_WORD_WIDE_SHIFT = LIVE_WORD_ADOPTION_SHIFT + LIVE_WORD_ADOPTION_BITS,
  LIVE_WORD_PLACE_SHIFT = LIVE_WORD_WIDE_SHIFT + 1,
  LIVE_WORD_PLACE_BYTES = 8,
};
#define LIVE_WORD_USED (1ull << 63)
#define LIVE_WORD_WIDE (1ull << LIVE_WORD_WIDE_SHIFT)
#define LIVE_WORD_KEY_MASK (~0ull << LIVE_WORD_PLACE_SHIFT)
#define LIVE_WORD_ADOPTION_MASK (((1ull << LIVE_WORD_ADOPTION_BITS) - 1) << LIVE_WORD_ADOPTION_SHIFT)

_Static_assert(LIVE_WORD_PLACE_SHIFT + LIVE_BLOCK_SHIFT - 3 == 63, "a bit is left for LIVE_WORD_USED");

static ALWAYS_INLINE unsigned live_word_offset(const void *pointer)
{
  return (unsigned)((uintptr_t)pointer & (LIVE_BLOCK_BYTES - 1));
}

/* The part of its word that an object is found by, within its block. */
static ALWAYS_INLINE uint64_t live_word_key(const void *pointer)
{
  return LIVE_WORD_USED | (uint64_t)(live_word_offset(pointer) / LIVE_WORD_PLACE_BYTES) << LIVE_WORD_PLACE_SHIFT;
}

static ALWAYS_INLINE bool live_word_is_wide(uint64_t word)
{
  return UNLIKELY((word & LIVE_WORD_WIDE) != 0);
}

static ALWAYS_INLINE bool live_word_has_room_for(const void *pointer, struct live_entry entry)
{
  return LIKELY((uintptr_t)pointer % LIVE_WORD_PLACE_BYTES == 0 && entry.halves == 0 &&
                entry.stack >> LIVE_WORD_STACK_BITS == 0 && entry.size_bytes >> LIVE_WORD_SIZE_BITS == 0);
}

static ALWAYS_INLINE uint64_t live_word_of(const void *pointer, struct live_entry entry)
{
  return live_word_key(pointer) | (uint64_t)entry.size_bytes << LIVE_WORD_STACK_BITS | entry.stack;
}

static ALWAYS_INLINE uint64_t live_word_of_node(const void *pointer, uint32_t node)
{
  return live_word_key(pointer) | LIVE_WORD_WIDE | node;
}

/* By which a node is known to be of this pointer. */
static ALWAYS_INLINE uint64_t live_word_hash(const void *pointer)
{
  return (uint64_t)(uintptr_t)pointer << LIVE_NODE_TAG_BITS;
}

static ALWAYS_INLINE uint32_t live_word_node(uint64_t word)
{
  return (uint32_t)word;
}

static ALWAYS_INLINE struct live_entry live_word_entry(uint64_t word)
{
  return (struct live_entry){.stack = (uint32_t)(word & ((1u << LIVE_WORD_STACK_BITS) - 1)),
                             .size_bytes = word >> LIVE_WORD_STACK_BITS & ((1u << LIVE_WORD_SIZE_BITS) - 1)};
}

static ALWAYS_INLINE unsigned live_word_adoption(uint64_t word)
{
  return (unsigned)((word & LIVE_WORD_ADOPTION_MASK) >> LIVE_WORD_ADOPTION_SHIFT);
}

static ALWAYS_INLINE uint64_t live_word_with_adoption(uint64_t word, unsigned adoption)
{
  return (word & ~LIVE_WORD_ADOPTION_MASK) | (uint64_t)adoption << LIVE_WORD_ADOPTION_SHIFT;
}

#endif
