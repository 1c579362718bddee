/* SPDX-License-Identifier: MIT */
/* The nodes of the live table: what is known of each live sample, in a pool of chunks that each double the whole.
 *
 * A node knows its pointer by the part of the hash that its slot in the index has no room for: the hash of a pointer
 * can be turned back, so that slot and node together tell the pointer.
 *
 * Threads, signals: lock-free; a handler that leaves by siglongjmp in the middle of an operation costs one node.
 * Memory: 16 bytes a node, touched as they are used. Fork: copied on write. Failure: 0 instead of a node when memory
 * is refused.
 */
#ifndef HEAPPROF_LIVE_NODE_H
#define HEAPPROF_LIVE_NODE_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct live_node {
  _Atomic uint32_t rest_or_next; /* of the hash; in a list, the next node */
  uint32_t stack;
  /* From the low end: size in bytes, 2 bits of halves, 2 bits of adoption, the upper bits of the hash. */
  _Atomic uint64_t size_and_rest;
};

_Static_assert(sizeof(struct live_node) == 16, "memory of exact mode");

/* Of a node's number, and of the hash in its slot. */
enum { LIVE_NODE_BITS = 30, LIVE_NODE_TAG_BITS = 29 };
enum {
  LIVE_NODE_REST_HIGH_BITS = 64 - LIVE_NODE_TAG_BITS - 32,
  LIVE_NODE_ADOPTION_BITS = 2,
  LIVE_NODE_HALVES_BITS = 2,
  LIVE_NODE_ADOPTION_SHIFT = 64 - LIVE_NODE_REST_HIGH_BITS - LIVE_NODE_ADOPTION_BITS,
  LIVE_NODE_SIZE_BITS = LIVE_NODE_ADOPTION_SHIFT - LIVE_NODE_HALVES_BITS
};

static inline uint64_t live_node_size_bytes(const struct live_node *node)
{
  uint64_t word = atomic_load_explicit(&node->size_and_rest, memory_order_relaxed);
  return word & ((1ull << LIVE_NODE_SIZE_BITS) - 1);
}

static inline unsigned live_node_halves(const struct live_node *node)
{
  uint64_t word = atomic_load_explicit(&node->size_and_rest, memory_order_relaxed);
  return (unsigned)(word >> LIVE_NODE_SIZE_BITS) & ((1 << LIVE_NODE_HALVES_BITS) - 1);
}

/* The last adoption that visited the node, 1 to 3; 0: none. */
static inline unsigned live_node_adoption(const struct live_node *node)
{
  uint64_t word = atomic_load_explicit(&node->size_and_rest, memory_order_relaxed);
  return (unsigned)(word >> LIVE_NODE_ADOPTION_SHIFT) & ((1 << LIVE_NODE_ADOPTION_BITS) - 1);
}

static inline void live_node_set_adoption(struct live_node *node, unsigned adoption)
{
  uint64_t mask = ((1ull << LIVE_NODE_ADOPTION_BITS) - 1) << LIVE_NODE_ADOPTION_SHIFT,
           word = atomic_load_explicit(&node->size_and_rest, memory_order_relaxed);
  atomic_store_explicit(&node->size_and_rest, (word & ~mask) | (uint64_t)adoption << LIVE_NODE_ADOPTION_SHIFT,
                        memory_order_relaxed);
}

/* Fills a node that nobody else knows yet, but for its stack. */
static inline void live_node_set(struct live_node *node, uint64_t hash, uint64_t size_bytes, unsigned halves)
{
  uint64_t rest = hash >> LIVE_NODE_TAG_BITS;
  atomic_store_explicit(&node->rest_or_next, (uint32_t)rest, memory_order_relaxed);
  atomic_store_explicit(&node->size_and_rest,
                        size_bytes | (uint64_t)halves << LIVE_NODE_SIZE_BITS |
                            rest >> 32 << (64 - LIVE_NODE_REST_HIGH_BITS),
                        memory_order_relaxed);
}

static inline bool live_node_is_of(const struct live_node *node, uint64_t hash)
{
  uint64_t rest = hash >> LIVE_NODE_TAG_BITS;
  return atomic_load_explicit(&node->rest_or_next, memory_order_relaxed) == (uint32_t)rest &&
         atomic_load_explicit(&node->size_and_rest, memory_order_relaxed) >> (64 - LIVE_NODE_REST_HIGH_BITS) ==
             rest >> 32;
}

/* Lists of nodes, for any number of threads: the count of changes << 32 | the first node, against ABA. */
typedef _Atomic uint64_t live_node_list;

SAMPLED void live_node_push(live_node_list *list, uint32_t node);
SAMPLED uint32_t live_node_pop(live_node_list *list);

/* 0: no memory. */
SAMPLED uint32_t live_node_get(void);
SAMPLED void live_node_give_back(uint32_t node);

/* Tests with every order of events make it smaller. */
#ifndef LIVE_NODE_FIRST_CHUNK
#define LIVE_NODE_FIRST_CHUNK 1024u
#define LIVE_NODE_LISTS 4u
#endif

/* Chunk k holds LIVE_NODE_FIRST_CHUNK << k of them; node 0 is never used. */
enum { LIVE_NODE_CHUNKS = 20 };

extern HIDDEN _Atomic(struct live_node *) live_node_chunks[LIVE_NODE_CHUNKS];

static ALWAYS_INLINE unsigned live_node_chunk_of(uint32_t node, uint32_t *offset)
{
  unsigned chunk = 31 - (unsigned)__builtin_clz(node / LIVE_NODE_FIRST_CHUNK + 1);
  *offset = node - LIVE_NODE_FIRST_CHUNK * ((1u << chunk) - 1);
  return chunk;
}

static ALWAYS_INLINE struct live_node *live_node_at(uint32_t node)
{
  uint32_t offset;
  unsigned chunk = live_node_chunk_of(node, &offset);
  INVARIANT(node != 0 && offset < (uint32_t)LIVE_NODE_FIRST_CHUNK << chunk);
  /* The chunk comes with the node's number. */
  return atomic_load_explicit(&live_node_chunks[chunk], memory_order_relaxed) + offset;
}

#endif
