/* SPDX-License-Identifier: MIT */
#include "core/live/live.h"

#include "core/live/live_exact.h"
#include "core/live/live_index.h"
#include "core/live/live_node.h"
#include "core/live/live_shelves.h"

void live_init(bool is_exact)
{
  if (is_exact)
    atomic_store_explicit(&live_index_pages, LIVE_INDEX_NONE, memory_order_relaxed);
}

SAMPLED_EXACT void live_prefetch_of_many(const void *pointer)
{
  if (live_index_is_none())
    live_shelves_prefetch(pointer);
  else
    live_index_prefetch_line(live_index_hash(pointer));
}

/* Entries say which adoption visited them last: 1 to 3 in turn, for all that is live is visited by each. */
enum { ADOPTIONS = (1 << LIVE_NODE_ADOPTION_BITS) - 1 };
static unsigned adoption;             /* of this process */
static live_node_list deferred_nodes; /* removed while a forked child adopts its region */

/* In a function of its own, for it keeps registers that only it needs. */
static SAMPLED NOINLINE bool add_node(const void *pointer, struct live_entry entry)
{
  uint64_t hash = live_index_hash(pointer);
  uint32_t number = live_node_get();
  if (number == 0)
    return false;
  live_entry_to(live_node_at(number), hash, entry);
  live_filter_raise(pointer, hash);
  if (live_index_add(hash, number))
    return true;
  live_filter_lower(pointer, hash);
  live_node_give_back(number);
  return false;
}

bool live_add(const void *pointer, struct live_entry entry)
{
  INVARIANT(pointer != NULL && entry.stack != 0 && entry.size_bytes >> LIVE_NODE_SIZE_BITS == 0);
  if (live_index_is_none())
    return live_exact_add(pointer, entry);
  return add_node(pointer, entry);
}

/* The node, out of the index but not yet free; 0 when there is none. */
static ALWAYS_INLINE uint32_t take_out(const void *pointer)
{
  uint64_t hash = live_index_hash(pointer);
  uint32_t number = live_index_remove(hash);
  if (number == 0)
    return 0;
  live_filter_lower(pointer, hash);
  return number;
}

bool live_may_hold(const void *pointer)
{
  return UNLIKELY(live_filter_may_be(pointer)) && live_filter_may_be_object(pointer, live_index_hash(pointer));
}

bool live_remove(const void *pointer, struct live_entry *entry)
{
  if (live_index_is_none())
    return live_exact_remove(pointer, entry);
  uint32_t number = take_out(pointer);
  if (number == 0)
    return false;
  *entry = live_entry_of(live_node_at(number));
  live_node_give_back(number);
  return true;
}

/* Then the caller looks whether adoption is over; the adopter says so, then looks here. The fences of both see to it
 * that one of them sees the other. */
bool live_remove_during_adoption(const void *pointer)
{
  uint32_t number = live_index_is_none() ? live_exact_remove_to_node(pointer) : take_out(pointer);
  if (number != 0 && LIKELY(number != LIVE_EXACT_NO_NODE)) /* without one, the free stays uncounted */
    live_node_push(&deferred_nodes, number);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with live_adopt_settle */
  return number != 0;
}

/* An entry that is moved meanwhile comes twice. */
static void adopt_one(uint32_t number, void *argument)
{
  live_visitor *visit = *(live_visitor **)argument;
  struct live_node *node = live_node_at(number);
  if (live_node_adoption(node) == adoption)
    return;
  live_node_set_adoption(node, adoption);
  visit(live_entry_of(node));
}

void live_adopt_each(live_visitor *visit)
{
  adoption = adoption % ADOPTIONS + 1; /* never 0, which new entries have */
  if (live_index_is_none())
    live_exact_adopt_each(visit, adoption);
  else
    live_index_each(adopt_one, &visit);
}

void live_adopt_settle(live_visitor *freed)
{
  uint32_t number;
  atomic_thread_fence(memory_order_seq_cst); /* pairs with live_remove_during_adoption */
  while ((number = live_node_pop(&deferred_nodes)) != 0) {
    struct live_node *node = live_node_at(number);
    if (live_node_adoption(node) == adoption)
      freed(live_entry_of(node));
    live_node_give_back(number);
  }
}

static void count_one(uint32_t number, void *argument)
{
  (void)number;
  ++*(uint64_t *)argument;
}

uint64_t live_count(void)
{
  uint64_t count = 0;
  if (live_index_is_none())
    return live_exact_count();
  live_index_each(count_one, &count);
  return count;
}
