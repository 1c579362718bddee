/* SPDX-License-Identifier: MIT */
#include "core/live/live_node.h"

#include "core/live/table_memory.h"
#include "core/lock.h"

_Atomic(struct live_node *) live_node_chunks[LIVE_NODE_CHUNKS];
static _Atomic uint32_t nodes_used = 1;

/* Threads that meet at one list wait for its cache line. Each begins at the list of its number, and takes from others
 * before it takes memory. */
static struct {
  _Alignas(64) live_node_list nodes;
} free_lists[LIVE_NODE_LISTS];

/* A list hands on all that was done to a node before it was put there, its chunk included. */

void live_node_push(live_node_list *list, uint32_t node)
{
  uint64_t head = atomic_load_explicit(list, memory_order_relaxed), next;
  do {
    atomic_store_explicit(&live_node_at(node)->rest_or_next, (uint32_t)head, memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | node;
  } while (!atomic_compare_exchange_weak_explicit(
      list, &head, next, memory_order_release /* pairs with live_node_pop */, memory_order_relaxed));
}

/* Acquires when it reads the head, for the next node must not be older than that; pairs with live_node_push. (C11
 * wants as much of the success.) */
uint32_t live_node_pop(live_node_list *list)
{
  uint64_t head = atomic_load_explicit(list, memory_order_acquire), next;
  do {
    if ((uint32_t)head == 0)
      return 0;
    uint32_t after = atomic_load_explicit(&live_node_at((uint32_t)head)->rest_or_next, memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | after;
  } while (!atomic_compare_exchange_weak_explicit(list, &head, next, memory_order_acquire, memory_order_acquire));
  return (uint32_t)head;
}

static bool chunk_make(unsigned chunk)
{
  if (atomic_load_explicit(&live_node_chunks[chunk], memory_order_relaxed) != NULL)
    return true;
  size_t size = ((size_t)LIVE_NODE_FIRST_CHUNK << chunk) * sizeof(struct live_node);
  struct live_node *fresh = table_memory_get(size);
  if (fresh == NULL)
    return false;
  TABLE_MEMORY_PUT(&live_node_chunks[chunk], fresh, size);
  return true;
}

static unsigned own_list(void)
{
  return (unsigned)(lock_thread_identity() * 0x9e3779b97f4a7c15u >> 32) % LIVE_NODE_LISTS;
}

static uint32_t get_used(void)
{
  unsigned own = own_list();
  for (unsigned i = 0; i < LIVE_NODE_LISTS; i++) {
    uint32_t node = live_node_pop(&free_lists[(own + i) % LIVE_NODE_LISTS].nodes);
    if (node != 0)
      return node;
  }
  return 0;
}

uint32_t live_node_get(void)
{
  uint32_t node = get_used(), offset;
  if (node != 0)
    return node;
  node = atomic_load_explicit(&nodes_used, memory_order_relaxed);
  do {
    unsigned chunk = live_node_chunk_of(node, &offset);
    if (chunk >= LIVE_NODE_CHUNKS || !chunk_make(chunk))
      return 0;
  } while (
      !atomic_compare_exchange_weak_explicit(&nodes_used, &node, node + 1, memory_order_relaxed, memory_order_relaxed));
  return node;
}

void live_node_give_back(uint32_t node)
{
  live_node_push(&free_lists[own_list()].nodes, node);
}
