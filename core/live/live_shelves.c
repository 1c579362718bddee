/* SPDX-License-Identifier: MIT */
#include "core/live/live_shelves.h"

#include "core/live/live_node.h"
#include "core/live/table_memory.h"

/* Tests with every order of events make them smaller. */
#ifndef LINE_WORDS_LOG2
#define LINE_WORDS_LOG2 3
#define LINES_LOG2_MAX 6
#define FIRST_LINES 1024u
#endif

enum { LINE_WORDS = 1 << LINE_WORDS_LOG2 };

_Static_assert(LINE_WORDS_LOG2 + LINES_LOG2_MAX <= LIVE_BLOCK_SHIFT, "a slot for each address at most");

struct shelf_line {
  _Alignas(64) _Atomic uint64_t slots[LINE_WORDS];
};

/* A shelf by its address, with the binary logarithm of its lines in the low bits, and whether there is an older one:
 * that one is in the first slot. */
typedef uint64_t shelf_link;
#define NO_SHELF 0ull
#define LINES_MASK 7ull
#define HAS_OLDER 8ull
#define LINK_MASK (HAS_OLDER | LINES_MASK)

static ALWAYS_INLINE _Atomic uint64_t *slots_of(shelf_link shelf)
{
  return (_Atomic uint64_t *)(uintptr_t)(shelf & ~LINK_MASK);
}

static ALWAYS_INLINE unsigned lines_log2_of(shelf_link shelf)
{
  return (unsigned)(shelf & LINES_MASK);
}

/* It comes with this one. The flag saves the look where there is none: most often, in another line than is needed. */
static ALWAYS_INLINE shelf_link older_than(shelf_link shelf)
{
  return (shelf & HAS_OLDER) != 0 ? atomic_load_explicit(slots_of(shelf), memory_order_relaxed) : NO_SHELF;
}

/* The slot that an object has if it is free. Else it has another one of the same line: that number with other low bits.
 */
static ALWAYS_INLINE unsigned slot_of(shelf_link shelf, const void *pointer)
{
  return live_word_offset(pointer) >> (LIVE_BLOCK_SHIFT - LINE_WORDS_LOG2 - lines_log2_of(shelf));
}

/* Memory. Chunk k has FIRST_LINES << k lines. */

enum { LINE_CHUNKS = 20 };

static _Atomic(struct shelf_line *) line_chunks[LINE_CHUNKS];
static _Atomic uint64_t lines_used;

static uint64_t lines_before(unsigned chunk)
{
  return (uint64_t)FIRST_LINES * ((1ull << chunk) - 1);
}

static unsigned lines_chunk_of(uint64_t line)
{
  return 63 - (unsigned)__builtin_clzll(line / FIRST_LINES + 1);
}

static struct shelf_line *lines_make(unsigned chunk)
{
  struct shelf_line *lines = atomic_load_explicit(&line_chunks[chunk], memory_order_relaxed);
  if (lines != NULL)
    return lines;
  size_t size = ((size_t)FIRST_LINES << chunk) * sizeof(struct shelf_line);
  struct shelf_line *fresh = table_memory_get(size);
  if (fresh == NULL)
    return NULL;
  TABLE_MEMORY_PUT(&line_chunks[chunk], fresh, size);
  return atomic_load_explicit(&line_chunks[chunk], memory_order_relaxed);
}

/* What is left of a chunk stays unused where a shelf does not fit. */
static struct shelf_line *lines_get(unsigned count)
{
  uint64_t used = atomic_load_explicit(&lines_used, memory_order_relaxed), first;
  struct shelf_line *lines;
  unsigned chunk;
  do {
    first = used;
    chunk = lines_chunk_of(first);
    if (first + count > lines_before(chunk + 1))
      first = lines_before(++chunk);
    if (chunk >= LINE_CHUNKS || (lines = lines_make(chunk)) == NULL)
      return NULL;
  } while (!atomic_compare_exchange_weak_explicit(&lines_used, &used, first + count, memory_order_relaxed,
                                                  memory_order_relaxed));
  return lines + (first - lines_before(chunk));
}

/* Putting. */

/* What an object takes in most allocators: a word for the allocator, and whole pairs of words, two at least. */
static size_t stride_of(size_t size_bytes)
{
  enum { WORD = sizeof(uintptr_t), PAIR = 2 * WORD, LEAST = 2 * PAIR };
  return size_bytes > LEAST - WORD ? (size_bytes + WORD + PAIR - 1) & ~(size_t)(PAIR - 1) : LEAST;
}

/* As many lines as are three quarters full when the block is full of such objects. */
static unsigned lines_log2_for(size_t size_bytes)
{
  size_t stride = stride_of(size_bytes);
  unsigned lines_log2 = 0;
  while (lines_log2 < LINES_LOG2_MAX && (stride * (LINE_WORDS * 3 / 4) << lines_log2) < LIVE_BLOCK_BYTES)
    lines_log2++;
  return lines_log2;
}

static unsigned lines_log2_after(shelf_link newest, size_t size_bytes)
{
  if (newest == NO_SHELF)
    return lines_log2_for(size_bytes);
  unsigned lines_log2 = lines_log2_of(newest);
  return lines_log2 < LINES_LOG2_MAX ? lines_log2 + 1 : lines_log2;
}

/* The newest shelf then: this one, or that of a thread that was faster. */
static COLD shelf_link put_up(live_block *block, shelf_link newest, const void *pointer, size_t size_bytes)
{
  unsigned lines_log2 = lines_log2_after(newest, size_bytes);
  struct shelf_line *lines = lines_get(1u << lines_log2);
  if (lines == NULL)
    return NO_SHELF;
  shelf_link fresh = (uintptr_t)lines | lines_log2;
  if (newest != NO_SHELF) {
    fresh |= HAS_OLDER;
    atomic_store_explicit(&lines->slots[0], newest, memory_order_relaxed);
  }
  live_directory_note(pointer);
  return atomic_compare_exchange_strong_explicit(block, &newest, fresh, memory_order_release, memory_order_relaxed)
             ? fresh
             : newest;
}

/* A shelf with an older one has that in its first slot: it does not look free, nor like a word. */
static ALWAYS_INLINE bool put_on(shelf_link shelf, const void *pointer, uint64_t word)
{
  _Atomic uint64_t *slots = slots_of(shelf);
  unsigned first = slot_of(shelf, pointer);
  for (unsigned step = 0; step < LINE_WORDS; step++) {
    _Atomic uint64_t *slot = &slots[first ^ step];
    uint64_t free = 0;
    if (atomic_load_explicit(slot, memory_order_relaxed) == 0 &&
        atomic_compare_exchange_strong_explicit(slot, &free, word, memory_order_release, memory_order_relaxed))
      return true;
  }
  return false;
}

static ALWAYS_INLINE bool put_on_any(shelf_link newest, const void *pointer, uint64_t word)
{
  for (shelf_link shelf = newest; shelf != NO_SHELF; shelf = older_than(shelf))
    if (put_on(shelf, pointer, word))
      return true;
  return false;
}

bool live_shelves_put(const void *pointer, uint64_t word, size_t size_bytes)
{
  live_block *block = live_directory_find(pointer);
  if (UNLIKELY(block == NULL) && (block = live_directory_make(pointer)) == NULL)
    return false;
  shelf_link newest = atomic_load_explicit(block, memory_order_relaxed);
  while (UNLIKELY(!put_on_any(newest, pointer, word)))
    if ((newest = put_up(block, newest, pointer, size_bytes)) == NO_SHELF)
      return false;
  return true;
}

/* Looking up. */

static ALWAYS_INLINE bool word_is_of(uint64_t word, const void *pointer)
{
  if (live_word_is_wide(word))
    return live_node_is_of(live_node_at(live_word_node(word)), live_word_hash(pointer));
  return (uintptr_t)pointer % LIVE_WORD_PLACE_BYTES == 0;
}

static ALWAYS_INLINE _Atomic uint64_t *look_on(shelf_link shelf, const void *pointer, uint64_t *found)
{
  _Atomic uint64_t *slots = slots_of(shelf);
  unsigned first = slot_of(shelf, pointer);
  uint64_t key = live_word_key(pointer);
  for (unsigned step = 0; step < LINE_WORDS; step++) {
    uint64_t word = atomic_load_explicit(&slots[first ^ step], memory_order_acquire);
    if ((word & LIVE_WORD_KEY_MASK) == key && word_is_of(word, pointer)) {
      *found = word;
      return &slots[first ^ step];
    }
  }
  return NULL;
}

/* An adopter may mark it meanwhile; a program that frees twice finds it taken. */
static ALWAYS_INLINE uint64_t take_from(_Atomic uint64_t *slot, uint64_t found)
{
  uint64_t word = found;
  while (!atomic_compare_exchange_strong_explicit(slot, &word, 0, memory_order_relaxed, memory_order_relaxed))
    if (((word ^ found) & ~LIVE_WORD_ADOPTION_MASK) != 0)
      return 0;
  return word;
}

uint64_t live_shelves_take(const void *pointer)
{
  live_block *block = live_directory_find(pointer);
  if (UNLIKELY(block == NULL))
    return 0;
  for (shelf_link shelf = atomic_load_explicit(block, memory_order_acquire); shelf != NO_SHELF;
       shelf = older_than(shelf)) {
    uint64_t word;
    _Atomic uint64_t *slot = look_on(shelf, pointer, &word);
    if (slot != NULL)
      return take_from(slot, word);
  }
  return 0;
}

void live_shelves_prefetch(const void *pointer)
{
  live_block *block = live_directory_find(pointer);
  shelf_link newest = block != NULL ? atomic_load_explicit(block, memory_order_relaxed) : NO_SHELF;
  if (newest != NO_SHELF)
    __builtin_prefetch((void *)&slots_of(newest)[slot_of(newest, pointer)], 1);
}

/* Walking. */

struct walk {
  void (*visit)(_Atomic uint64_t *slot, void *argument);
  void *argument;
};

static void shelves_each(live_block *block, void *argument)
{
  const struct walk *walk = argument;
  for (shelf_link shelf = atomic_load_explicit(block, memory_order_acquire); shelf != NO_SHELF;
       shelf = older_than(shelf))
    for (unsigned i = (shelf & HAS_OLDER) != 0; i < (unsigned)LINE_WORDS << lines_log2_of(shelf); i++)
      if (atomic_load_explicit(&slots_of(shelf)[i], memory_order_relaxed) != 0)
        walk->visit(&slots_of(shelf)[i], walk->argument);
}

void live_shelves_each(void (*visit)(_Atomic uint64_t *slot, void *argument), void *argument)
{
  struct walk walk = {visit, argument};
  live_directory_each(shelves_each, &walk);
}
