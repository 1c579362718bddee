/* SPDX-License-Identifier: MIT */
#include "core/mappings/mappings.h"

#include "core/libc.h"
#include "core/process.h"
#include "core/record.h"
#include "core/region.h"
#include "core/sampler.h"
#include "core/settle.h"
#include "core/stacks.h"

#include <sys/auxv.h>

_Atomic bool mappings_are_seen;
static uint64_t machine_page_bytes;

void mappings_init(void)
{
  machine_page_bytes = libc_auxv(AT_PAGESZ);
  atomic_store(&mappings_are_seen, true);
}

static uintptr_t page_end(uintptr_t address)
{
  return (address + machine_page_bytes - 1) & ~(machine_page_bytes - 1);
}

/* The kernel maps whole pages. Empty: it is beyond what a slot holds. */
static struct page_range pages_of(uintptr_t start, uint64_t bytes)
{
  uint64_t limit = page_end(start + bytes);
  if (limit < start || limit >> RANGE_PAGE_SHIFT >> RANGE_START_BITS != 0)
    return (struct page_range){0, 0};
  return (struct page_range){start >> RANGE_PAGE_SHIFT, limit >> RANGE_PAGE_SHIFT};
}

static bool is_empty(struct page_range range)
{
  return range.first >= range.limit;
}

static bool is_ready(void)
{
  return (LIKELY(region_header() != NULL) && process_is_settled()) || settle_for_sample();
}

static void add(struct page_range range, uint32_t flags, const struct unwind_start *from)
{
  if (atomic_load_explicit(&sampler_mode, memory_order_relaxed) != SAMPLER_ON || is_empty(range))
    return;
  uint32_t stack = is_ready() ? record_stack(from, flags) : 0;
  if (stack == 0 || !mapping_table_add(range, stack))
    mapping_table_lose();
}

void mappings_note(uintptr_t start, uint64_t bytes, enum mapping_kind kind, const struct unwind_start *from)
{
  struct page_range range = pages_of(start, bytes);
  mapping_table_remove(range, UINT64_MAX);
  if (kind != MAPPING_OF_OTHERS)
    add(range, kind == MAPPING_RESERVED ? STACK_MAPPED | STACK_RESERVED : STACK_MAPPED, from);
}

void mappings_forget(uintptr_t start, uint64_t bytes, uint64_t begun)
{
  mapping_table_remove(pages_of(start, bytes), begun);
}

void mappings_note_end(uintptr_t before, uintptr_t now, enum mapping_kind kind, const struct unwind_start *from)
{
  uintptr_t first = page_end(before), limit = page_end(now);
  if (first < limit)
    mappings_note(first, limit - first, kind, from);
}

void mappings_forget_end(uintptr_t before, uintptr_t now, uint64_t begun)
{
  uintptr_t first = page_end(now), limit = page_end(before);
  if (first < limit)
    mappings_forget(first, limit - first, begun);
}

/* In place, the other pages stay whose they are. */
static void shrink(const struct mapping_move *move, uint64_t begun)
{
  struct page_range before = pages_of(move->old, move->old_bytes), after = pages_of(move->new, move->new_bytes);
  mapping_table_remove((struct page_range){after.limit, before.limit}, begun);
}

void mappings_move(const struct mapping_move *move, uint64_t begun, const struct unwind_start *from)
{
  struct page_range before = pages_of(move->old, move->old_bytes), after = pages_of(move->new, move->new_bytes);
  uint32_t stack = mapping_table_stack(move->old >> RANGE_PAGE_SHIFT);
  if (move->old == move->new &&after.limit <= before.limit) {
    shrink(move, begun);
    return;
  }
  if (!move->stays)
    mapping_table_remove(before, begun);
  mapping_table_remove(after, UINT64_MAX);
  if (stack != 0)
    add(after, stacks_mapped_flags(stack), from);
}
