/* SPDX-License-Identifier: MIT */
#include "core/cfi/object_cache.h"

#include "core/rules.h"

#include <stddef.h>

enum { OBJECT_WORDS = sizeof(struct cfi_object) / sizeof(uintptr_t), FIRST_SETS = 8, MORE_SETS = 256, WAYS = 4 };

/* An entry is being written while its sequence is odd. Writer of all: under modules_lock. */
struct entry {
  _Alignas(64) _Atomic uint64_t sequence;
  _Atomic uintptr_t key, eh_frame_hdr;
  _Atomic uintptr_t words[OBJECT_WORDS];
};

/* The first sets are one page, which has room for all objects of most programs. What finds its set full goes to the
 * others. */
static struct entry first[FIRST_SETS][WAYS] LARGE, more[MORE_SETS][WAYS] LARGE;
static _Atomic bool has_first, has_more; /* what nothing was put in is not read: it would be mapped for that */

static uintptr_t key_of(const void *link_map)
{
  return (uintptr_t)link_map ^ atomic_load_explicit(&rule_generation, memory_order_acquire) << 48;
}

static struct entry *first_set_of(uintptr_t key)
{
  return first[key * 0x9e3779b97f4a7c15u >> 61];
}

static struct entry *more_set_of(uintptr_t key)
{
  return more[key * 0x9e3779b97f4a7c15u >> 56];
}

_Static_assert(FIRST_SETS == 1 << (64 - 61) && MORE_SETS == 1 << (64 - 56), "the upper bits of a product");
_Static_assert(sizeof first == 4096, "it is one page");

static uintptr_t get(const _Atomic uintptr_t *word)
{
  return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uintptr_t *word, uintptr_t value)
{
  atomic_store_explicit(word, value, memory_order_relaxed);
}

static bool read_entry(const struct entry *entry, const struct object_holder *holder, uintptr_t pc,
                       struct cfi_object *object)
{
  uintptr_t *words = (uintptr_t *)object, key = key_of(holder->link_map);
  uint64_t sequence =
      atomic_load_explicit(&entry->sequence, memory_order_acquire /* pairs with write_entry's release */);
  if (get(&entry->key) != key || get(&entry->eh_frame_hdr) != (uintptr_t)holder->eh_frame_hdr)
    return false;
  for (unsigned i = 0; i < OBJECT_WORDS; i++)
    words[i] = get(&entry->words[i]);
  atomic_thread_fence(memory_order_acquire); /* pairs with write_entry's fence */
  return sequence % 2 == 0 && atomic_load_explicit(&entry->sequence, memory_order_relaxed) == sequence &&
         pc >= object->code.low && pc < object->code.high;
}

static void write_entry(struct entry *entry, const struct object_holder *holder, const struct cfi_object *object)
{
  const uintptr_t *words = (const uintptr_t *)object;
  uint64_t sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
  /* Who took the lock over from a writer finds the entry odd. */
  if (sequence % 2 != 0 || !atomic_compare_exchange_strong_explicit(&entry->sequence, &sequence, sequence + 1,
                                                                    memory_order_relaxed, memory_order_relaxed))
    return;
  atomic_thread_fence(memory_order_release); /* pairs with read_entry's fence */
  set(&entry->key, key_of(holder->link_map));
  set(&entry->eh_frame_hdr, (uintptr_t)holder->eh_frame_hdr);
  for (unsigned i = 0; i < OBJECT_WORDS; i++)
    set(&entry->words[i], words[i]);
  atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release /* pairs with read_entry */);
}

/* The entry of the same part of the object, or one that is free or out of date. NULL: there is none. */
static struct entry *find_room(struct entry *set, uintptr_t key, const struct cfi_object *object)
{
  enum { CODE_LOW = offsetof(struct cfi_object, code) / sizeof(uintptr_t) };
  for (unsigned way = 0; way < WAYS; way++) {
    uintptr_t old = get(&set[way].key);
    if (old == 0 || (old == key && get(&set[way].words[CODE_LOW]) == object->code.low) || (old ^ key) >> 48 != 0)
      return &set[way];
  }
  return NULL;
}

static bool find_in(const struct entry *set, const struct object_holder *holder, uintptr_t pc,
                    struct cfi_object *object)
{
  for (unsigned way = 0; way < WAYS; way++)
    if (read_entry(&set[way], holder, pc, object))
      return true;
  return false;
}

static bool is_used(const _Atomic bool *has_any)
{
  return atomic_load_explicit(has_any, memory_order_relaxed);
}

bool object_cache_get(const struct object_holder *holder, uintptr_t pc, struct cfi_object *object)
{
  uintptr_t key = key_of(holder->link_map);
  return (is_used(&has_first) && find_in(first_set_of(key), holder, pc, object)) ||
         (is_used(&has_more) && find_in(more_set_of(key), holder, pc, object));
}

void object_cache_put(const struct object_holder *holder, const struct cfi_object *object)
{
  uintptr_t key = key_of(holder->link_map);
  struct entry *entry = first_set_of(key);
  if (is_used(&has_first))
    entry = find_room(entry, key, object);
  atomic_store_explicit(&has_first, true, memory_order_relaxed);
  if (entry == NULL) {
    entry = find_room(more_set_of(key), key, object);
    atomic_store_explicit(&has_more, true, memory_order_relaxed);
  }
  if (entry == NULL)
    entry = &more_set_of(key)[(object->code.low >> 12) % WAYS];
  write_entry(entry, holder, object);
}
