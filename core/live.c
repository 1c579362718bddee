/* SPDX-License-Identifier: MIT */
#include "core/live.h"

#include "core/compiler.h"
#include "core/sys.h"

#include <string.h>

LARGE _Atomic uint8_t live_filter[LIVE_FILTER_BYTES];

/* Nodes. Chunk k holds FIRST_CHUNK_NODES << k of them; node 0 is never used. */

struct node {
  _Atomic uintptr_t pointer;
  uint64_t size_bytes;
  uint64_t objects_q16;
  uint32_t stack;
  _Atomic uint32_t next_free; /* in the free list or the deferred list */
};

_Static_assert(sizeof(struct node) == 32, "two nodes a cache line");

/* Tests with every order of events make both sizes smaller. */
#ifndef FIRST_CHUNK_NODES
#define FIRST_CHUNK_NODES 1024u
#endif
#ifndef FIRST_LEVEL_SLOTS
#define FIRST_LEVEL_SLOTS 4096u
#endif

enum { CHUNKS = 20 };

/* The upper bits of objects_q16 hold the number of the adoption that last visited the node: weights stay below 2^52. */
enum { ADOPTION_SHIFT = 53, ADOPTION_MASK = (1 << (64 - ADOPTION_SHIFT)) - 1 };
#define WEIGHT_MASK ((1ull << ADOPTION_SHIFT) - 1)
static uint64_t adoption; /* of this process, counted from the first ancestor */

static _Atomic(struct node *) chunks[CHUNKS];
static _Atomic uint32_t nodes_used = 1;
static _Atomic uint64_t free_nodes;     /* head of a list: count of changes << 32 | node, against ABA */
static _Atomic uint64_t deferred_nodes; /* removed while a forked child adopts its region */

static unsigned chunk_of(uint32_t node, uint32_t *offset)
{
  unsigned chunk = 31 - (unsigned)__builtin_clz(node / FIRST_CHUNK_NODES + 1);
  *offset = node - FIRST_CHUNK_NODES * ((1u << chunk) - 1);
  return chunk;
}

static struct node *node_at(uint32_t node)
{
  uint32_t offset;
  unsigned chunk = chunk_of(node, &offset);
  INVARIANT(node != 0 && node < atomic_load_explicit(&nodes_used, memory_order_relaxed));
  INVARIANT(offset < (uint32_t)FIRST_CHUNK_NODES << chunk);
  return atomic_load_explicit(&chunks[chunk], memory_order_relaxed) + offset; /* which comes with the node's number */
}

/* A list hands on all that was done to a node before it was put there, its chunk included. */

static void push(_Atomic uint64_t *list, uint32_t node)
{
  uint64_t head = atomic_load_explicit(list, memory_order_relaxed), next;
  do {
    atomic_store_explicit(&node_at(node)->next_free, (uint32_t)head, memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | node;
  } while (!atomic_compare_exchange_weak_explicit(list, &head, next, memory_order_release /* pairs with pop */,
                                                  memory_order_relaxed));
}

/* Acquires when it reads the head, for next_free must not be older than that; pairs with push. (C11 wants as much of
 * the success.) */
static uint32_t pop(_Atomic uint64_t *list)
{
  uint64_t head = atomic_load_explicit(list, memory_order_acquire), next;
  do {
    if ((uint32_t)head == 0)
      return 0;
    uint32_t after = atomic_load_explicit(&node_at((uint32_t)head)->next_free, memory_order_relaxed);
    next = ((head >> 32) + 1) << 32 | after;
  } while (!atomic_compare_exchange_weak_explicit(list, &head, next, memory_order_acquire, memory_order_acquire));
  return (uint32_t)head;
}

static bool chunk_make(unsigned chunk)
{
  if (atomic_load_explicit(&chunks[chunk], memory_order_relaxed) != NULL)
    return true;
  size_t size = ((size_t)FIRST_CHUNK_NODES << chunk) * sizeof(struct node);
  struct node *fresh = sys_map_anonymous(size), *none = NULL;
  if (fresh == NULL)
    return false;
  if (atomic_compare_exchange_strong_explicit(&chunks[chunk], &none, fresh, memory_order_relaxed, memory_order_relaxed))
    region_add_own_bytes(size);
  else
    sys_munmap(fresh, size);
  return true;
}

/* 0: no memory. */
static uint32_t node_get(void)
{
  uint32_t node = pop(&free_nodes), offset;
  if (node != 0)
    return node;
  node = atomic_load_explicit(&nodes_used, memory_order_relaxed);
  do {
    unsigned chunk = chunk_of(node, &offset);
    if (chunk >= CHUNKS || !chunk_make(chunk))
      return 0;
  } while (
      !atomic_compare_exchange_weak_explicit(&nodes_used, &node, node + 1, memory_order_relaxed, memory_order_relaxed));
  return node;
}

/* Slots. Level 0 and 1 have FIRST_LEVEL_SLOTS, each further level as many as all before it. */

enum { BUCKET_SLOTS = 8, LEVELS = 16 };

#define SLOT_TAG_MASK 0xffffffff00000000u

static LARGE _Atomic uint64_t first_level[FIRST_LEVEL_SLOTS];
static _Atomic(_Atomic uint64_t *) levels[LEVELS] = {first_level};
static _Atomic unsigned levels_used = 1;

static size_t level_slots(unsigned level)
{
  return (size_t)FIRST_LEVEL_SLOTS << (level == 0 ? 0 : level - 1);
}

static uint64_t hash_of(const void *pointer)
{
  uint64_t hash = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15u;
  return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* Each level uses another part of the hash, so that entries that crowd one bucket spread out over the next level. */
static _Atomic uint64_t *bucket_of(unsigned level, uint64_t hash)
{
  size_t buckets = level_slots(level) / BUCKET_SLOTS;
  uint64_t turned = hash << (level * 3) | hash >> ((64 - level * 3) & 63);
  return atomic_load_explicit(&levels[level], memory_order_relaxed) + (turned & (buckets - 1)) * BUCKET_SLOTS;
}

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

static uint64_t tag_of(uint64_t hash)
{
  return hash & SLOT_TAG_MASK;
}

static unsigned levels_now(void)
{
  return atomic_load_explicit(&levels_used, memory_order_acquire); /* pairs with level_add */
}

static bool level_add(unsigned level)
{
  if (level >= LEVELS)
    return false;
  size_t size = level_slots(level) * sizeof(uint64_t);
  _Atomic uint64_t *fresh = sys_map_anonymous(size), *none = NULL;
  if (fresh == NULL)
    return false;
  if (atomic_compare_exchange_strong_explicit(&levels[level], &none, fresh, memory_order_relaxed, memory_order_relaxed))
    region_add_own_bytes(size);
  else
    sys_munmap(fresh, size);
  /* The loser of the race announces the level, too: the winner may be the thread that this handler interrupted. Pairs
   * with levels_now: who counts a level finds its slots. */
  atomic_compare_exchange_strong_explicit(&levels_used, &level, level + 1, memory_order_release, memory_order_relaxed);
  return true;
}

/* Shows the node: the release pairs with those who read slots, index_remove and for_each_slot. */
static bool slot_take(_Atomic uint64_t *bucket, uint64_t value)
{
  for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
    uint64_t empty = 0;
    if (atomic_load_explicit(&bucket[i], memory_order_relaxed) == 0 &&
        atomic_compare_exchange_strong_explicit(&bucket[i], &empty, value, memory_order_release, memory_order_relaxed))
      return true;
  }
  return false;
}

/* The newest level is tried first, since it is the emptiest. */
static bool index_add(uint64_t hash, uint32_t node)
{
  uint64_t value = tag_of(hash) | node;
  while (true) {
    unsigned used = levels_now();
    for (unsigned level = used; level-- > 0;)
      if (slot_take(bucket_of(level, hash), value))
        return true;
    if (!level_add(used))
      return false;
  }
}

/* Takes the slot of `pointer` out of the index; 0 when there is none. A slot of the same tag may change under our eyes,
 * but the one whose node holds our pointer is ours alone, and what is in the node was seen with the slot: taking it out
 * gives no order. */
static uint32_t index_remove(const void *pointer)
{
  uint64_t hash = hash_of(pointer), tag = tag_of(hash);
  for (unsigned level = levels_now(); level-- > 0;) {
    _Atomic uint64_t *bucket = bucket_of(level, hash);
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
      uint64_t value = atomic_load_explicit(&bucket[i], memory_order_acquire); /* pairs with slot_take */
      if ((value & SLOT_TAG_MASK) != tag || (uint32_t)value == 0)
        continue;
      uintptr_t held = atomic_load_explicit(&node_at((uint32_t)value)->pointer, memory_order_relaxed);
      if (held == (uintptr_t)pointer &&
          atomic_compare_exchange_strong_explicit(&bucket[i], &value, 0, memory_order_relaxed, memory_order_relaxed))
        return (uint32_t)value;
    }
  }
  return 0;
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

static void page_raise(const void *pointer)
{
  _Atomic uint8_t *page = live_filter_of(pointer);
  uint8_t old = atomic_load_explicit(page, memory_order_relaxed), bit = live_filter_bit_of(pointer);
  while (!atomic_compare_exchange_weak_explicit(page, &old, raised_page(old, bit), memory_order_relaxed,
                                                memory_order_relaxed))
    ;
}

static void page_lower(const void *pointer)
{
  _Atomic uint8_t *page = live_filter_of(pointer);
  uint8_t old = atomic_load_explicit(page, memory_order_relaxed);
  while (
      !atomic_compare_exchange_weak_explicit(page, &old, lowered_page(old), memory_order_relaxed, memory_order_relaxed))
    ;
}

static void object_raise(const void *pointer)
{
  uint64_t hash = hash_of(pointer);
  _Atomic uint8_t *counts = object_filter_of(pointer, hash);
  uint8_t old = atomic_load_explicit(counts, memory_order_relaxed),
          max = OBJECT_FILTER_COUNT_MAX << object_filter_shift(hash);
  while ((old & max) != max &&
         !atomic_compare_exchange_weak_explicit(counts, &old, (uint8_t)(old + (1 << object_filter_shift(hash))),
                                                memory_order_relaxed, memory_order_relaxed))
    ;
}

static void object_lower(const void *pointer)
{
  uint64_t hash = hash_of(pointer);
  _Atomic uint8_t *counts = object_filter_of(pointer, hash);
  uint8_t old = atomic_load_explicit(counts, memory_order_relaxed),
          max = OBJECT_FILTER_COUNT_MAX << object_filter_shift(hash);
  while ((old & max) != max && (old & max) != 0 &&
         !atomic_compare_exchange_weak_explicit(counts, &old, (uint8_t)(old - (1 << object_filter_shift(hash))),
                                                memory_order_relaxed, memory_order_relaxed))
    ;
}

static void filter_raise(const void *pointer)
{
  page_raise(pointer);
  object_raise(pointer);
}

static void filter_lower(const void *pointer)
{
  page_lower(pointer);
  object_lower(pointer);
}

void live_filter_mark_forever(const void *pointer)
{
  atomic_store_explicit(live_filter_of(pointer), UINT8_MAX, memory_order_relaxed);
}

/* The table. */

static struct live_entry entry_of(const struct node *node)
{
  return (struct live_entry){
      .stack = node->stack, .weight = {.size_bytes = node->size_bytes, .objects_q16 = node->objects_q16 & WEIGHT_MASK}};
}

bool live_add(const void *pointer, struct live_entry entry)
{
  INVARIANT(pointer != NULL && entry.stack != 0 && entry.weight.objects_q16 <= WEIGHT_MASK);
  uint32_t position = node_get();
  if (position == 0)
    return false;
  struct node *node = node_at(position);
  node->size_bytes = entry.weight.size_bytes;
  node->objects_q16 = entry.weight.objects_q16;
  node->stack = entry.stack;
  atomic_store_explicit(&node->pointer, (uintptr_t)pointer, memory_order_relaxed);
  filter_raise(pointer);
  if (index_add(hash_of(pointer), position))
    return true;
  filter_lower(pointer);
  push(&free_nodes, position);
  return false;
}

/* The node, out of the index but not yet free; 0 when there is none. */
static uint32_t take_out(const void *pointer)
{
  uint32_t position = index_remove(pointer);
  if (position == 0)
    return 0;
  filter_lower(pointer);
  atomic_store_explicit(&node_at(position)->pointer, 0, memory_order_relaxed);
  return position;
}

bool live_may_hold(const void *pointer)
{
  if (LIKELY(!live_filter_may_be(pointer)))
    return false;
  uint64_t hash = hash_of(pointer);
  uint8_t counts = atomic_load_explicit(object_filter_of(pointer, hash), memory_order_relaxed);
  return (counts >> object_filter_shift(hash) & OBJECT_FILTER_COUNT_MAX) != 0;
}

bool live_remove(const void *pointer, struct live_entry *entry)
{
  uint32_t position = take_out(pointer);
  if (position == 0)
    return false;
  *entry = entry_of(node_at(position));
  push(&free_nodes, position);
  return true;
}

/* Then the caller looks whether adoption is over; the adopter says so, then looks here. The fences of both see to it
 * that one of them sees the other. */
bool live_remove_during_adoption(const void *pointer)
{
  uint32_t position = take_out(pointer);
  if (position != 0)
    push(&deferred_nodes, position);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with live_adopt_settle */
  return position != 0;
}

static void for_each_slot(void (*visit)(uint32_t node, void *argument), void *argument)
{
  unsigned used = levels_now();
  for (unsigned level = 0; level < used; level++) {
    _Atomic uint64_t *slots = atomic_load_explicit(&levels[level], memory_order_relaxed);
    for (size_t i = 0; i < level_slots(level); i++) {
      uint64_t value = atomic_load_explicit(&slots[i], memory_order_acquire); /* pairs with slot_take */
      if ((uint32_t)value != 0)
        visit((uint32_t)value, argument);
    }
  }
}

static void adopt_one(uint32_t position, void *argument)
{
  void (*visit)(struct live_entry entry) = *(void (**)(struct live_entry))argument;
  struct node *node = node_at(position);
  node->objects_q16 = (node->objects_q16 & WEIGHT_MASK) | adoption << ADOPTION_SHIFT;
  visit(entry_of(node));
}

void live_adopt_each(void (*visit)(struct live_entry entry))
{
  adoption = adoption % ADOPTION_MASK + 1; /* never 0, which new nodes have */
  for_each_slot(adopt_one, &visit);
}

void live_adopt_settle(void (*freed)(struct live_entry entry))
{
  uint32_t position;
  atomic_thread_fence(memory_order_seq_cst); /* pairs with live_remove_during_adoption */
  while ((position = pop(&deferred_nodes)) != 0) {
    struct node *node = node_at(position);
    if (node->objects_q16 >> ADOPTION_SHIFT == adoption)
      freed(entry_of(node));
    push(&free_nodes, position);
  }
}

static void count_one(uint32_t position, void *argument)
{
  (void)position;
  ++*(uint64_t *)argument;
}

uint64_t live_count(void)
{
  uint64_t count = 0;
  for_each_slot(count_one, &count);
  return count;
}
