/* SPDX-License-Identifier: MIT */
#include "core/cfi/registered.h"

#include "core/cfi/readers.h"
#include "core/object_image.h"
#include "core/sys.h"

/* Writer: who has put BEING_WRITTEN into `begin`, from 0 or from where it began. */
enum { FREE = 0, BEING_WRITTEN = 1 };

/* Aligned to keep away from what every process touches. */
static _Alignas(64) struct place {
  _Atomic uintptr_t begin;
  _Atomic uintptr_t end;       /* of the entries */
  _Atomic uintptr_t low, high; /* around the code */
} places[REGISTERED_MAX];
static _Atomic unsigned place_count; /* those behind were never used */

static uintptr_t get(const _Atomic uintptr_t *word)
{
  return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uintptr_t *word, uintptr_t value)
{
  atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Can all up to `end` be read, beyond what is known to be? The program may be wrong about it. */
static bool is_readable_up_to(uintptr_t end, uintptr_t *known, uintptr_t limit)
{
  while (*known < end && *known < limit && sys_is_readable(*known))
    *known += OBJECT_PAGE_BYTES;
  return *known >= end;
}

/* What lies there. False: nothing that can be followed. */
static bool measure(uintptr_t begin, struct eh_frame_span *span, struct address_range *code)
{
  struct eh_frame_entry entry = {.at = 0};
  uintptr_t at = begin, known = object_page_down(begin), limit = known + REGISTERED_BYTES_MAX;
  *code = (struct address_range){UINTPTR_MAX, 0};
  for (;;) {
    uint32_t length;
    if (!is_readable_up_to(at + sizeof length, &known, limit))
      return false;
    __builtin_memcpy(&length, (const void *)at, sizeof length);
    if (length == 0)
      break;
    *span = (struct eh_frame_span){begin, at + sizeof length + length};
    if (!is_readable_up_to(span->high, &known, limit))
      return false;
    if (eh_frame_read(span, &at, &entry) == EH_FRAME_ENTRY) {
      code->low = entry.pc_low < code->low ? entry.pc_low : code->low;
      code->high = entry.pc_high > code->high ? entry.pc_high : code->high;
    } else {
      at = span->high;
    }
  }
  return code->low < code->high;
}

static struct place *take_place(void)
{
  for (unsigned i = 0; i < REGISTERED_MAX; i++) {
    uintptr_t free = FREE;
    if (!atomic_compare_exchange_strong_explicit(&places[i].begin, &free, BEING_WRITTEN, memory_order_relaxed,
                                                 memory_order_relaxed))
      continue;
    unsigned count = atomic_load_explicit(&place_count, memory_order_relaxed);
    while (count <= i && !atomic_compare_exchange_weak_explicit(&place_count, &count, i + 1, memory_order_relaxed,
                                                                memory_order_relaxed))
      ;
    return &places[i];
  }
  return NULL;
}

void registered_add(uintptr_t begin)
{
  struct eh_frame_span span;
  struct address_range code;
  struct place *place = measure(begin, &span, &code) ? take_place() : NULL;
  if (place == NULL)
    return;
  set(&place->end, span.high);
  set(&place->low, code.low);
  set(&place->high, code.high);
  atomic_store_explicit(&place->begin, begin, memory_order_release /* pairs with registered_next */);
}

void registered_remove(uintptr_t begin)
{
  bool any = false;
  unsigned count = atomic_load_explicit(&place_count, memory_order_relaxed);
  for (unsigned i = 0; i < count; i++) {
    uintptr_t held = begin;
    any |= atomic_compare_exchange_strong_explicit(&places[i].begin, &held, FREE, memory_order_relaxed,
                                                   memory_order_relaxed);
  }
  if (!any)
    return;
  atomic_fetch_add(&rule_generation, 1);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with readers_enter: who comes later does not find it */
  readers_wait();
}

/* Who frees it without telling the runtime gets away with that as long as nothing is thrown. */
static bool is_still_readable(const struct eh_frame_span *span)
{
  for (uintptr_t page = object_page_down(span->low); page < span->high; page += OBJECT_PAGE_BYTES)
    if (!sys_is_readable(page))
      return false;
  return true;
}

bool registered_next(uintptr_t pc, unsigned *position, struct eh_frame_span *span)
{
  unsigned count = atomic_load_explicit(&place_count, memory_order_relaxed);
  while (*position < count) {
    const struct place *place = &places[(*position)++];
    uintptr_t begin = atomic_load_explicit(&place->begin, memory_order_acquire /* pairs with registered_add */);
    if (begin <= BEING_WRITTEN || pc < get(&place->low) || pc >= get(&place->high))
      continue;
    *span = (struct eh_frame_span){begin, get(&place->end)};
    atomic_thread_fence(memory_order_acquire);
    if (get(&place->begin) == begin /* and not another one meanwhile */ && is_still_readable(span))
      return true;
  }
  return false;
}
