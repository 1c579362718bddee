/* SPDX-License-Identifier: MIT */
#include "core/live/live_exact.h"

#include "core/live/live_filter.h"
#include "core/live/live_index.h"
#include "core/live/live_shelves.h"

static ALWAYS_INLINE struct live_entry entry_of_word(uint64_t word)
{
  return live_word_is_wide(word) ? live_entry_of(live_node_at(live_word_node(word))) : live_word_entry(word);
}

static COLD uint32_t make_node(const void *pointer, struct live_entry entry)
{
  uint32_t node = live_node_get();
  if (node != 0)
    live_entry_to(live_node_at(node), live_word_hash(pointer), entry);
  return node;
}

static COLD bool add_wide(const void *pointer, struct live_entry entry)
{
  uint32_t node = make_node(pointer, entry);
  if (node == 0)
    return false;
  if (live_shelves_put(pointer, live_word_of_node(pointer, node), entry.size_bytes))
    return true;
  live_node_give_back(node);
  return false;
}

bool live_exact_add(const void *pointer, struct live_entry entry)
{
  live_filter_hold_forever(pointer, live_index_hash(pointer));
  if (LIKELY(live_word_has_room_for(pointer, entry)))
    return live_shelves_put(pointer, live_word_of(pointer, entry), entry.size_bytes);
  return add_wide(pointer, entry);
}

bool live_exact_remove(const void *pointer, struct live_entry *entry)
{
  uint64_t word = live_shelves_take(pointer);
  if (word == 0)
    return false;
  *entry = entry_of_word(word);
  if (live_word_is_wide(word))
    live_node_give_back(live_word_node(word));
  return true;
}

uint32_t live_exact_remove_to_node(const void *pointer)
{
  uint64_t word = live_shelves_take(pointer);
  if (word == 0)
    return 0;
  uint32_t node = live_word_is_wide(word) ? live_word_node(word) : make_node(pointer, live_word_entry(word));
  if (node == 0)
    return LIVE_EXACT_NO_NODE;
  live_node_set_adoption(live_node_at(node), live_word_adoption(word));
  return node;
}

/* A word is visited once: none is moved, and who takes it takes the mark with it. */

struct adopter {
  live_visitor *visit;
  unsigned number;
};

static void adopt_word(_Atomic uint64_t *slot, void *argument)
{
  const struct adopter *adopter = argument;
  uint64_t word = atomic_load_explicit(slot, memory_order_acquire);
  if (word != 0 && atomic_compare_exchange_strong_explicit(slot, &word, live_word_with_adoption(word, adopter->number),
                                                           memory_order_relaxed, memory_order_relaxed))
    adopter->visit(entry_of_word(word));
}

void live_exact_adopt_each(live_visitor *visit, unsigned number)
{
  struct adopter adopter = {visit, number};
  live_shelves_each(adopt_word, &adopter);
}

static void count_word(_Atomic uint64_t *slot, void *argument)
{
  (void)slot;
  ++*(uint64_t *)argument;
}

uint64_t live_exact_count(void)
{
  uint64_t count = 0;
  live_shelves_each(count_word, &count);
  return count;
}
