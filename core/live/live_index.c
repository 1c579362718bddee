/* SPDX-License-Identifier: MIT */
#include "core/live/live_index.h"

#include "core/live/live_node.h"
#include "core/live/table_memory.h"

#include <stdatomic.h>

/* Tests with every order of events make them smaller. */
#ifndef LINE_SLOTS
#define LINE_SLOTS 7
#define PAGE_LINES_LOG2 6
#define FIRST_PAGES_LOG2 0
#endif

enum {
  PAGE_LINES = 1 << PAGE_LINES_LOG2,
  PAGE_SLOTS = PAGE_LINES * LINE_SLOTS,
  FIRST_PAGES = 1 << FIRST_PAGES_LOG2,
  PAGES_LOG2_MAX = 20,
  SEGMENTS = PAGES_LOG2_MAX - FIRST_PAGES_LOG2 + 1
};

/* A slot is, from the low end: the node (0: free), the mark of a move, a part of the hash. A slot of a page that was
 * never split is 0; a free one of all other pages is SLOT_FREE. */
enum { MARK_BITS = 5, MARK_SHIFT = LIVE_NODE_BITS, TAG_SHIFT = MARK_SHIFT + MARK_BITS, TAG_BITS = 64 - TAG_SHIFT };
#define TAG_MASK ((1ull << TAG_BITS) - 1)
#define NODE_MASK ((1ull << LIVE_NODE_BITS) - 1)
#define MARK_MASK (((1ull << MARK_BITS) - 1) << MARK_SHIFT)
#define SLOT_FREE (1ull << MARK_SHIFT)

_Static_assert((int)TAG_BITS == (int)LIVE_NODE_TAG_BITS, "slot and node have the whole hash");
_Static_assert(TAG_BITS >= PAGE_LINES_LOG2 + PAGES_LOG2_MAX, "a slot tells where it goes without its node");
_Static_assert(PAGES_LOG2_MAX < 1 << MARK_BITS, "a mark tells the split");

/* The lower half of `passed` counts the entries of this and other lines that went past it; the upper half is not 0
 * once the page was split off. */
struct line {
  _Atomic uint64_t passed;
  _Atomic uint64_t slots[LINE_SLOTS];
};
#define SPLIT_OFF (1ull << 32)

struct page {
  _Alignas(64) struct line lines[PAGE_LINES];
};

/* Segment 0 has the first pages; each further one as many as all before it. */
static LARGE struct page first_segment[FIRST_PAGES];
static _Atomic(struct page *) segments[SEGMENTS] = {first_segment};
_Atomic uint32_t live_index_pages = FIRST_PAGES;

/* Comes with all that grow did before (and see is_still_right). */
static ALWAYS_INLINE uint32_t pages_now(void)
{
  return atomic_load_explicit(&live_index_pages, memory_order_seq_cst);
}

/* A slot by its place. */
struct place {
  uint32_t page;
  unsigned line, slot;
};

static ALWAYS_INLINE uint32_t highest_bit(uint32_t number)
{
  return 1u << (31 - __builtin_clz(number));
}

static ALWAYS_INLINE struct page *page_at(uint32_t page)
{
  if (page < FIRST_PAGES)
    return &first_segment[page];
  unsigned segment = 32 - FIRST_PAGES_LOG2 - (unsigned)__builtin_clz(page);
  struct page *pages = atomic_load_explicit(&segments[segment], memory_order_relaxed); /* comes with live_index_pages */
  return pages + (page - highest_bit(page));
}

static ALWAYS_INLINE _Atomic uint64_t *slot_at(struct place place)
{
  return &page_at(place.page)->lines[place.line].slots[place.slot];
}

static uint64_t tag_of(uint64_t hash)
{
  return hash << TAG_SHIFT;
}

static uint64_t hash_of_slot(uint64_t slot)
{
  return slot >> TAG_SHIFT;
}

static unsigned home_of(uint64_t hash)
{
  return hash % PAGE_LINES;
}

/* The page of a hash when there are so many. */
static ALWAYS_INLINE uint32_t page_of(uint64_t hash, uint32_t pages)
{
  uint32_t top = highest_bit(pages), number = (uint32_t)(hash >> PAGE_LINES_LOG2), page = number & (2 * top - 1);
  return page < pages ? page : number & (top - 1);
}

static bool goes_with_split(uint64_t slot, uint32_t new_page)
{
  return (hash_of_slot(slot) >> PAGE_LINES_LOG2 & (2 * highest_bit(new_page) - 1)) == new_page;
}

static uint32_t node_of(uint64_t slot)
{
  return (uint32_t)(slot & NODE_MASK);
}

static uint64_t mark_of_split(uint32_t new_page)
{
  return (uint64_t)(32 - (unsigned)__builtin_clz(new_page)) << MARK_SHIFT;
}

static uint32_t new_page_of(uint32_t page, uint64_t slot)
{
  return page | 1u << (((slot & MARK_MASK) >> MARK_SHIFT) - 1);
}

static bool is_moving(uint64_t slot)
{
  return node_of(slot) != 0 && (slot & MARK_MASK) != 0;
}

/* Entries that lie in another line than their own are counted in each line that they went past. A count too high
 * costs a look at one more line; it is never too low for an entry that somebody may look for. */

static void count_passed(struct place place, uint64_t slot)
{
  unsigned home = home_of(hash_of_slot(slot));
  for (unsigned step = 0; step < (home ^ place.line); step++)
    atomic_fetch_add_explicit(&page_at(place.page)->lines[home ^ step].passed, 1, memory_order_relaxed);
}

/* Who sees the count gone, and so no reason to look on, sees the split that the entry went with (look_up). */
static SAMPLED void passed_no_more(struct place place, uint64_t slot)
{
  unsigned home = home_of(hash_of_slot(slot));
  for (unsigned step = 0; step < (home ^ place.line); step++)
    atomic_fetch_sub_explicit(&page_at(place.page)->lines[home ^ step].passed, 1, memory_order_release);
}

/* Splitting. */

/* Empties a marked slot of the old page: its entry is in the new one. */
static void end_move(struct place from, uint64_t marked)
{
  if (atomic_compare_exchange_strong_explicit(slot_at(from), &marked, SLOT_FREE, memory_order_release,
                                              memory_order_relaxed))
    passed_no_more(from, marked);
}

static void copy_moving(struct place to, uint64_t slot)
{
  uint64_t fresh = 0;
  count_passed(to, slot);
  if (!atomic_compare_exchange_strong_explicit(slot_at(to), &fresh, slot & ~MARK_MASK, memory_order_release,
                                               memory_order_relaxed))
    passed_no_more(to, slot);
}

/* Only an entry that came too late for that other split, and will be taken back. */
static bool is_of_another_split(uint64_t slot, uint64_t mark)
{
  return is_moving(slot) && (slot & MARK_MASK) != mark;
}

/* Decides what the slot of the new page begins with: the entry of the same slot of the old page, if it goes there. */
static void split_slot(struct place from, uint32_t new_page)
{
  struct place to = {new_page, from.line, from.slot};
  uint64_t mark = mark_of_split(new_page);
  uint64_t slot = atomic_load_explicit(slot_at(from), memory_order_seq_cst); /* see is_still_right */
  while (atomic_load_explicit(slot_at(to), memory_order_relaxed) == 0) {
    uint64_t fresh = 0;
    if (node_of(slot) == 0 || !goes_with_split(slot, new_page) || is_of_another_split(slot, mark))
      (void)atomic_compare_exchange_strong_explicit(slot_at(to), &fresh, SLOT_FREE, memory_order_relaxed,
                                                    memory_order_relaxed);
    else if (is_moving(slot))
      copy_moving(to, slot);
    else if (atomic_compare_exchange_strong_explicit(slot_at(from), &slot, slot | mark, memory_order_release,
                                                     memory_order_acquire))
      slot |= mark;
  }
  if (is_moving(slot) && (slot & MARK_MASK) == mark)
    end_move(from, slot);
}

static ALWAYS_INLINE bool is_split_off(uint32_t page, unsigned line)
{
  return page < FIRST_PAGES ||
         atomic_load_explicit(&page_at(page)->lines[line].passed, memory_order_acquire) >= SPLIT_OFF;
}

/* Any number of threads may do this at once; the page is whole for each that comes back. */
static NOINLINE void split(uint32_t new_page)
{
  struct place from = {.page = new_page - highest_bit(new_page)};
  for (from.line = 0; from.line < PAGE_LINES; from.line++)
    for (from.slot = 0; from.slot < LINE_SLOTS; from.slot++)
      split_slot(from, new_page);
  for (unsigned line = 0; line < PAGE_LINES; line++)
    atomic_fetch_add_explicit(&page_at(new_page)->lines[line].passed, SPLIT_OFF, memory_order_release);
}

/* The page where the hash belongs, whole as far as its home line is concerned. */
static ALWAYS_INLINE uint32_t whole_page_of(uint64_t hash, uint32_t pages)
{
  uint32_t page = page_of(hash, pages);
  if (UNLIKELY(!is_split_off(page, home_of(hash))))
    split(page);
  return page;
}

/* Adding. */

static bool segment_make(uint32_t page)
{
  unsigned segment = 32 - FIRST_PAGES_LOG2 - (unsigned)__builtin_clz(page);
  if (atomic_load_explicit(&segments[segment], memory_order_relaxed) != NULL)
    return true;
  size_t size = (size_t)highest_bit(page) * sizeof(struct page);
  struct page *fresh = table_memory_get(size);
  if (fresh == NULL)
    return false;
  TABLE_MEMORY_PUT(&segments[segment], fresh, size);
  return true;
}

/* One page at a time, and only when the one before is whole: so at most the newest is not. */
static COLD void grow(uint32_t pages)
{
  if (pages == 1u << PAGES_LOG2_MAX || !segment_make(pages))
    return;
  if (!is_split_off(pages - 1, PAGE_LINES - 1))
    split(pages - 1);
  if (atomic_compare_exchange_strong_explicit(&live_index_pages, &pages, pages + 1, memory_order_seq_cst,
                                              memory_order_relaxed))
    split(pages);
}

/* Does the table grow when it has so many nodes? Pages that were not split yet have twice the entries of others.
 * Their splitting begins when they are two thirds full on average, and is over before they are 77 % full: then half a
 * page's worth of entries past the average, which would fill one, comes once in 10^7 pages. */
static bool is_time_to_grow(uint64_t nodes, uint32_t pages)
{
  uint64_t begun = highest_bit(pages);
  return nodes * 10 > PAGE_SLOTS * (begun * 10 * 2 / 3 + (pages - begun));
}

static void grow_for(uint32_t node)
{
  uint32_t pages = pages_now();
  if (UNLIKELY(is_time_to_grow(node, pages)))
    grow(pages);
}

/* Takes the first free slot from the home line on. */
static ALWAYS_INLINE bool take_slot(uint64_t hash, uint64_t slot, struct place *place)
{
  unsigned home = home_of(hash);
  for (unsigned step = 0; step < PAGE_LINES; step++) {
    place->line = home ^ step;
    for (place->slot = 0; place->slot < LINE_SLOTS; place->slot++) {
      uint64_t old = atomic_load_explicit(slot_at(*place), memory_order_relaxed);
      if (node_of(old) == 0 && atomic_compare_exchange_strong_explicit(slot_at(*place), &old, slot,
                                                                       memory_order_seq_cst, memory_order_relaxed))
        return true;
    }
    atomic_fetch_add_explicit(&page_at(place->page)->lines[place->line].passed, 1, memory_order_relaxed);
  }
  for (unsigned line = 0; line < PAGE_LINES; line++)
    atomic_fetch_sub_explicit(&page_at(place->page)->lines[line].passed, 1, memory_order_relaxed);
  return false;
}

/* Does the hash still belong to that page? If not, the entry may have come too late for the split. take_slot, this
 * look, and whoever sees a new page and then the slots to split (pages_now, split_slot) are in one order: either this
 * thread sees the new page, or the split sees the entry. */
static ALWAYS_INLINE bool is_still_right(uint64_t hash, uint32_t page)
{
  return page_of(hash, pages_now()) == page;
}

struct found {
  struct place place;
  uint64_t slot; /* 0: nothing */
};

static bool holds(uint64_t hash);

/* An entry that may have come too late is taken back, unless it has been moved to where it belongs. */
static COLD bool was_moved(struct place place, uint64_t slot, uint64_t hash)
{
  for (;;) {
    uint64_t now = atomic_load_explicit(slot_at(place), memory_order_relaxed);
    if (now == slot) {
      if (atomic_compare_exchange_strong_explicit(slot_at(place), &now, SLOT_FREE, memory_order_relaxed,
                                                  memory_order_relaxed)) {
        passed_no_more(place, slot);
        return false;
      }
    } else if ((now & ~MARK_MASK) == slot) {
      split_slot(place, new_page_of(place.page, now));
    } else {
      return holds(hash);
    }
  }
}

static ALWAYS_INLINE bool put(uint64_t hash, uint32_t node)
{
  uint64_t slot = tag_of(hash) | node;
  for (;;) {
    struct place place = {.page = whole_page_of(hash, pages_now())};
    if (!take_slot(hash, slot, &place))
      return false;
    if (LIKELY(is_still_right(hash, place.page)) || was_moved(place, slot, hash))
      return true;
  }
}

bool live_index_add(uint64_t hash, uint32_t node)
{
  grow_for(node);
  return put(hash, node);
}

/* Looking up. */

static ALWAYS_INLINE struct found look_in_line(struct place place, uint64_t hash)
{
  struct line *line = &page_at(place.page)->lines[place.line];
  for (place.slot = 0; place.slot < LINE_SLOTS; place.slot++) {
    uint64_t slot = atomic_load_explicit(&line->slots[place.slot], memory_order_acquire);
    if (slot >> TAG_SHIFT == (hash & TAG_MASK) && node_of(slot) != 0 &&
        live_node_is_of(live_node_at(node_of(slot)), hash))
      return (struct found){place, slot};
  }
  return (struct found){.slot = 0};
}

static ALWAYS_INLINE struct found look_in_page(uint64_t hash, uint32_t page)
{
  for (unsigned step = 0; step < PAGE_LINES; step++) {
    struct place place = {.page = page, .line = home_of(hash) ^ step};
    struct found found = look_in_line(place, hash);
    uint64_t passed = atomic_load_explicit(&page_at(page)->lines[place.line].passed, memory_order_acquire);
    if (found.slot != 0 || (uint32_t)passed == 0)
      return found;
  }
  return (struct found){.slot = 0};
}

/* Finishes the move of what it finds half moved, and looks again. */
static ALWAYS_INLINE struct found look_up(uint64_t hash)
{
  for (;;) {
    uint32_t page = whole_page_of(hash, pages_now());
    struct found found = look_in_page(hash, page);
    if (UNLIKELY(is_moving(found.slot)))
      split_slot(found.place, new_page_of(page, found.slot));
    else if (found.slot != 0)
      return found;
    if (page_of(hash, pages_now()) == page)
      return (struct found){.slot = 0};
  }
}

static NOINLINE bool holds(uint64_t hash)
{
  return look_up(hash).slot != 0;
}

uint32_t live_index_remove(uint64_t hash)
{
  for (;;) {
    struct found found = look_up(hash);
    if (found.slot == 0)
      return 0;
    if (LIKELY(atomic_compare_exchange_strong_explicit(slot_at(found.place), &found.slot, SLOT_FREE,
                                                       memory_order_relaxed, memory_order_relaxed))) {
      passed_no_more(found.place, found.slot);
      return node_of(found.slot);
    }
  }
}

/* An entry only ever moves to a later page. */
void live_index_each(void (*visit)(uint32_t node, void *argument), void *argument)
{
  for (struct place place = {.page = 0}; place.page < pages_now(); place.page++)
    for (place.line = 0; place.line < PAGE_LINES; place.line++)
      for (place.slot = 0; place.slot < LINE_SLOTS; place.slot++) {
        uint64_t slot = atomic_load_explicit(slot_at(place), memory_order_acquire);
        if (node_of(slot) != 0)
          visit(node_of(slot), argument);
      }
}

void live_index_prefetch_line(uint64_t hash)
{
  __builtin_prefetch(&page_at(page_of(hash, pages_now()))->lines[home_of(hash)], 1);
}
