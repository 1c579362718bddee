/* SPDX-License-Identifier: MIT */
#include "core/mappings/mapping_table.h"

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/lock.h"
#include "core/process.h"
#include "core/region.h"
#include "core/stacks.h"
#include "core/sys.h"

/* Of a slot. Writer: who holds it. */
struct mapping {
  uint64_t event; /* that it was added by */
  uint32_t stack;
  uint32_t counted_in; /* the number of the epoch (process.h) whose region has it among its sums */
};

enum { BLOCKS = MAPPING_SLOTS / RANGES_IN_RECORD, AREAS_LOG2 = 12, MANY_AREAS = 64 };
_Static_assert(BLOCKS <= 64, "a bit for each");

static LARGE _Atomic uint64_t ranges[MAPPING_SLOTS]; /* range_word() */
static LARGE struct mapping mappings[MAPPING_SLOTS];
static LARGE _Atomic uintptr_t holders[MAPPING_SLOTS]; /* of a busy one: the thread (lock_thread_identity) */
static LARGE _Atomic uint64_t blocks_of_area[1 << AREAS_LOG2];
static _Atomic uint64_t blocks_of_many;
static _Atomic uint32_t blocks[BLOCKS]; /* granules of struct ranges_record */
static _Atomic unsigned used;           /* slots from here on never had a range */
static _Atomic unsigned free_from;      /* below it there is hardly a free one */
static _Atomic uint64_t events, splits;
static _Atomic bool is_adopting;

uint64_t mapping_table_event(void)
{
  return atomic_fetch_add_explicit(&events, 1, memory_order_relaxed);
}

unsigned mapping_table_used(void)
{
  return atomic_load_explicit(&used, memory_order_relaxed);
}

void mapping_table_lose(void)
{
  if (process_is_settled())
    region_lose(LOSS_mapping);
}

static ALWAYS_INLINE bool overlaps(uint64_t word, struct page_range range)
{
  return range_first(word) < range.limit && range_first(word) + range_pages(word) > range.first;
}

/* Which blocks may have something of a range: a bit for each, by areas of 256 KiB, and once for all for ranges of many
 * areas. Bits stay; slots are used again from the lowest one on, so few are set in vain. */

static unsigned area_place(uint64_t area)
{
  return (unsigned)(area * 0x9e3779b97f4a7c15u >> (64 - AREAS_LOG2));
}

static uint64_t area_of(uint64_t page)
{
  enum { AREA_PAGES_LOG2 = 6 };
  return page >> AREA_PAGES_LOG2;
}

static void set_bit(_Atomic uint64_t *word, uint64_t bit)
{
  if ((atomic_load_explicit(word, memory_order_relaxed) & bit) == 0)
    atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
}

static void note_areas(unsigned slot, struct page_range range)
{
  uint64_t bit = 1ull << slot / RANGES_IN_RECORD, last = area_of(range.limit - 1);
  if (last - area_of(range.first) >= MANY_AREAS) {
    set_bit(&blocks_of_many, bit);
    return;
  }
  for (uint64_t area = area_of(range.first); area <= last; area++)
    set_bit(&blocks_of_area[area_place(area)], bit);
}

static uint64_t blocks_near(struct page_range range)
{
  uint64_t near = atomic_load_explicit(&blocks_of_many, memory_order_relaxed), last = area_of(range.limit - 1);
  if (range.first >= range.limit)
    return 0;
  if (last - area_of(range.first) >= MANY_AREAS)
    return UINT64_MAX;
  for (uint64_t area = area_of(range.first); area <= last; area++)
    near |= atomic_load_explicit(&blocks_of_area[area_place(area)], memory_order_relaxed);
  return near;
}

/* The first slot from there on, of so many, that may have some of the range, in one of these blocks; `count`: none. */
static ALWAYS_INLINE unsigned find(unsigned slot, unsigned count, uint64_t near, struct page_range range)
{
  while (slot < count) {
    uint64_t rest = near >> slot / RANGES_IN_RECORD;
    if ((rest & 1) == 0) {
      if (rest == 0)
        return count;
      slot = (slot / RANGES_IN_RECORD + (unsigned)__builtin_ctzll(rest)) * RANGES_IN_RECORD;
      continue;
    }
    for (unsigned end = (slot / RANGES_IN_RECORD + 1) * RANGES_IN_RECORD; slot < end; slot++)
      if (UNLIKELY(overlaps(atomic_load_explicit(&ranges[slot], memory_order_relaxed), range)))
        return slot;
  }
  return count;
}

static void wait_for_holder(unsigned attempt)
{
  enum { SPINS = 2000 };
  if (attempt < SPINS)
    arch_pause();
  else
    sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void note_holder(unsigned slot, uintptr_t thread)
{
  atomic_store_explicit(&holders[slot], thread, memory_order_relaxed);
}

/* A handler interrupted the holder, or siglongjmp left it: waiting for it is in vain. */
static bool is_held_by_us(unsigned slot)
{
  return atomic_load_explicit(&holders[slot], memory_order_relaxed) == lock_thread_identity();
}

/* Makes a slot busy if some of the range is in it. Its word; 0: nothing is, or who changes it takes too long. */
static uint64_t hold(unsigned slot, struct page_range range)
{
  enum { ATTEMPTS = 2200 };
  for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
    uint64_t word = atomic_load_explicit(&ranges[slot], memory_order_relaxed);
    if (!overlaps(word, range))
      return 0;
    if ((word & RANGE_IS_BUSY) != 0) {
      if (is_held_by_us(slot))
        break;
      wait_for_holder(attempt);
    } else if (atomic_compare_exchange_strong_explicit(&ranges[slot], &word, word | RANGE_IS_BUSY,
                                                       memory_order_acquire /* pairs with release */,
                                                       memory_order_relaxed)) {
      note_holder(slot, lock_thread_identity());
      return word;
    }
  }
  mapping_table_lose();
  return 0;
}

static void note_free(unsigned slot)
{
  unsigned from = atomic_load_explicit(&free_from, memory_order_relaxed);
  if (slot < from)
    atomic_store_explicit(&free_from, slot, memory_order_relaxed);
}

static void release(unsigned slot, uint64_t word)
{
  note_holder(slot, 0); /* before it is another's: this thread would find itself there */
  atomic_store_explicit(&ranges[slot], word, memory_order_release /* pairs with hold and claim */);
  if (word == 0)
    note_free(slot);
}

static void raise_used(unsigned count)
{
  unsigned before = atomic_load_explicit(&used, memory_order_relaxed);
  while (before < count &&
         !atomic_compare_exchange_weak_explicit(&used, &before, count, memory_order_relaxed, memory_order_relaxed))
    continue;
}

/* A slot of its own for a range, busy; MAPPING_SLOTS: there is none. */
static unsigned claim(uint64_t word)
{
  unsigned from = atomic_load_explicit(&free_from, memory_order_relaxed);
  for (unsigned step = 0; step < MAPPING_SLOTS; step++) {
    unsigned slot = (from + step) % MAPPING_SLOTS;
    uint64_t there = 0;
    if (atomic_load_explicit(&ranges[slot], memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong_explicit(&ranges[slot], &there, word | RANGE_IS_BUSY, memory_order_acquire,
                                                 memory_order_relaxed))
      continue;
    note_holder(slot, lock_thread_identity());
    raise_used(slot + 1);
    atomic_store_explicit(&free_from, slot + 1, memory_order_relaxed);
    return slot;
  }
  return MAPPING_SLOTS;
}

/* In the state file. */

static uint32_t epoch_number(void)
{
  return (uint32_t)(process_epoch() >> PROCESS_EPOCH_SHIFT);
}

/* Are its sums and its copy in the region of this process? */
static bool is_counted(const struct mapping *mapping)
{
  return mapping->counted_in == epoch_number() &&
         (process_is_settled() || atomic_load_explicit(&is_adopting, memory_order_relaxed));
}

static uint32_t append_block(void)
{
  enum { BYTES = sizeof(struct ranges_record) + RANGES_IN_RECORD * sizeof(struct mapped_range) };
  _Static_assert(BYTES % REGION_GRANULE_BYTES == 0, "records are whole granules");
  uint32_t granule;
  struct ranges_record *record = (struct ranges_record *)region_reserve(BYTES, &granule);
  if (record == NULL)
    return 0;
  record->count = RANGES_IN_RECORD;
  const uint64_t *constant = (const uint64_t *)(const void *)&record->count;
  region_publish(&record->record, REGION_RECORD_RANGES, constant, 1, region_hash_words(constant, 1));
  return granule;
}

/* NULL: there is no room. One appended in vain stays empty. */
static struct ranges_record *block_of(unsigned slot)
{
  _Atomic uint32_t *block = &blocks[slot / RANGES_IN_RECORD];
  uint32_t granule = atomic_load_explicit(block, memory_order_relaxed);
  if (granule == 0) {
    uint32_t fresh = append_block();
    if (fresh == 0)
      return NULL;
    if (atomic_compare_exchange_strong_explicit(block, &granule, fresh, memory_order_relaxed, memory_order_relaxed))
      granule = fresh;
  }
  return (struct ranges_record *)region_at(granule);
}

/* Whoever reads the same range before and after the stack has both. */
static void show(unsigned slot, uint64_t word)
{
  struct ranges_record *block = block_of(slot);
  if (block == NULL)
    return;
  struct mapped_range *shown = &block->ranges[slot % RANGES_IN_RECORD];
  atomic_store_explicit(&shown->range, 0, memory_order_relaxed);
  atomic_store_explicit(&shown->stack, mappings[slot].stack, memory_order_release);
  atomic_store_explicit(&shown->range, word, memory_order_release);
}

static uint64_t bytes_of(uint64_t pages)
{
  return pages << RANGE_PAGE_SHIFT;
}

/* Adding. */

static bool put(uint64_t first, uint64_t pages, struct mapping mapping)
{
  uint64_t word = range_word(first, pages);
  unsigned slot = claim(word);
  if (slot == MAPPING_SLOTS)
    return false;
  mappings[slot] = mapping;
  note_areas(slot, (struct page_range){first, first + pages});
  if (is_counted(&mapping))
    show(slot, word);
  release(slot, word);
  return true;
}

bool mapping_table_add(struct page_range range, uint32_t stack)
{
  while (range.first < range.limit) {
    uint64_t pages = range.limit - range.first;
    if (pages > RANGE_PAGES_MAX)
      pages = RANGE_PAGES_MAX;
    if (!put(range.first, pages,
             (struct mapping){.event = mapping_table_event(), .stack = stack, .counted_in = epoch_number()}))
      return false;
    stacks_count_mapped(stack, 1, bytes_of(pages));
    range.first += pages;
  }
  return true;
}

/* Removing. */

/* What is behind a hole becomes a range of its own. How many pages that are: none, if there is no room for it. */
static uint64_t split(unsigned slot, uint64_t first, uint64_t pages)
{
  if (!put(first, pages, mappings[slot])) {
    mapping_table_lose();
    return 0;
  }
  atomic_fetch_add_explicit(&splits, 1, memory_order_release /* with the slot: pairs with who begins to look */);
  if (is_counted(&mappings[slot]))
    stacks_count_mapped(mappings[slot].stack, 1, 0);
  return pages;
}

/* Takes the range out of what a slot has, which its caller holds. What is left there. */
static uint64_t cut(unsigned slot, uint64_t word, struct page_range range)
{
  uint64_t first = range_first(word), pages = range_pages(word), limit = first + pages;
  uint64_t head = first < range.first ? range.first - first : 0, tail = limit > range.limit ? limit - range.limit : 0;
  uint64_t left = head > 0 ? range_word(first, head) : tail > 0 ? range_word(range.limit, tail) : 0;
  if (head > 0 && tail > 0)
    tail = split(slot, range.limit, tail);
  if (is_counted(&mappings[slot])) {
    show(slot, left);
    stacks_count_unmapped(mappings[slot].stack, left == 0 ? 1 : 0, bytes_of(pages - head - tail));
  }
  return left;
}

static void remove_once(struct page_range range, uint64_t event)
{
  unsigned count = mapping_table_used();
  uint64_t near = blocks_near(range);
  for (unsigned slot = 0; (slot = find(slot, count, near, range)) < count; slot++) {
    uint64_t word = hold(slot, range);
    if (word != 0)
      release(slot, mappings[slot].event < event ? cut(slot, word, range) : word);
  }
}

/* Has the other half of a range moved to a slot that may have been passed by already? Whoever saw that it is gone from
 * where it was sees this. */
static bool was_split_since(uint64_t before)
{
  atomic_thread_fence(memory_order_acquire /* pairs with release */);
  return UNLIKELY(atomic_load_explicit(&splits, memory_order_relaxed) != before);
}

void mapping_table_remove(struct page_range range, uint64_t event)
{
  enum { ATTEMPTS = 1000 };
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    uint64_t before = atomic_load_explicit(&splits, memory_order_acquire);
    remove_once(range, event);
    if (LIKELY(!was_split_since(before)))
      return;
  }
  mapping_table_lose();
}

static uint32_t stack_once(uint64_t page)
{
  struct page_range range = {page, page + 1};
  unsigned count = mapping_table_used();
  uint64_t near = blocks_near(range);
  for (unsigned slot = 0; (slot = find(slot, count, near, range)) < count; slot++) {
    uint64_t word = hold(slot, range);
    if (word == 0)
      continue;
    uint32_t stack = mappings[slot].stack;
    release(slot, word);
    return stack;
  }
  return 0;
}

uint32_t mapping_table_stack(uint64_t page)
{
  uint64_t before = atomic_load_explicit(&splits, memory_order_acquire);
  uint32_t stack = stack_once(page);
  return stack == 0 && was_split_since(before) ? stack_once(page) : stack;
}

/* Fork. */

static void forget_parents(void)
{
  uint64_t position = 0;
  struct stack_record *stack;
  struct ranges_record *block;
  while ((stack = stacks_next_mapped(&position)) != NULL)
    stacks_clear(stack);
  position = 0;
  while ((block = (struct ranges_record *)region_next(&position, REGION_RECORD_RANGES)) != NULL)
    for (unsigned i = 0; i < RANGES_IN_RECORD; i++)
      atomic_store_explicit(&block->ranges[i].range, 0, memory_order_relaxed);
}

void mapping_table_adopt(void)
{
  static const struct page_range everything = {0, UINT64_MAX};
  forget_parents();
  atomic_store_explicit(&is_adopting, true, memory_order_relaxed);
  for (unsigned slot = 0, count = mapping_table_used(); slot < count; slot++) {
    uint64_t word = hold(slot, everything);
    if (word == 0)
      continue;
    mappings[slot].counted_in = epoch_number();
    show(slot, word);
    stacks_count_mapped(mappings[slot].stack, 1, bytes_of(range_pages(word)));
    release(slot, word);
  }
}

void mapping_table_end_adoption(void)
{
  atomic_store_explicit(&is_adopting, false, memory_order_relaxed);
}

void mapping_table_was_forked(void)
{
  for (unsigned slot = 0, count = mapping_table_used(); slot < count; slot++)
    if ((atomic_load_explicit(&ranges[slot], memory_order_relaxed) & RANGE_IS_BUSY) != 0)
      release(slot, 0);
}
