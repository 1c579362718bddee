/* SPDX-License-Identifier: MIT */
#include "interpose/patch/landings.h"

#include "core/libc.h"
#include "core/sys.h"
#include "interpose/patch/heap_need.h"
#include "interpose/patch/pages.h"

#include <sys/auxv.h>

enum {
  TRIES_MAX = 64, /* pages of one choice */
  LANDING_PAGES_MAX = 2 * LANDINGS_MAX,
  HEAP_GROWTH_BYTES = 64 << 20,
  HIGHEST_BIT = 47, /* addresses of programs */
};

#define JUMP_REACH_BYTES ((uintptr_t)2 << 30)

static LARGE struct {
  uintptr_t pages[LANDING_PAGES_MAX];
  size_t page_count, page_bytes;
  uintptr_t landings[LANDINGS_MAX];
  size_t count;
  bool is_heap_needed, is_in_way_of_heap;
} own;

void landings_begin(bool is_heap_needed)
{
  own.is_heap_needed = is_heap_needed;
  own.page_count = own.count = 0;
  own.page_bytes = (size_t)libc_auxv(AT_PAGESZ);
}

static bool has_page(uintptr_t page)
{
  for (size_t i = 0; i < own.page_count; i++)
    if (own.pages[i] == page)
      return true;
  return false;
}

static bool map_page(uintptr_t page)
{
  if (has_page(page))
    return true;
  if (own.page_count == LANDING_PAGES_MAX || page < LOWEST_ADDRESS || page >> HIGHEST_BIT != 0)
    return false;
  if (memory_map_at(page, own.page_bytes) == NULL)
    return false;
  own.pages[own.page_count++] = page;
  return true;
}

/* A heap that is in use keeps room to grow; one that its allocator needs, all that a jump leads to. */
static bool leaves_room_for_heap(uintptr_t at)
{
  uintptr_t room = own.is_heap_needed ? JUMP_REACH_BYTES : HEAP_GROWTH_BYTES, end = heap_end();
  bool is_behind = at >= end && at - end < room;
  own.is_in_way_of_heap = own.is_in_way_of_heap || (is_behind && own.is_heap_needed);
  return !is_behind || (!own.is_heap_needed && !heap_is_in_use());
}

static bool is_apart(uintptr_t at)
{
  for (size_t i = 0; i < own.count; i++)
    if (at < own.landings[i] + ENTRY_LANDING_BYTES && own.landings[i] < at + ENTRY_LANDING_BYTES)
      return false;
  return true;
}

static bool place_at(uintptr_t at, const void *hook)
{
  uintptr_t first = at & ~(own.page_bytes - 1), last = (at + ENTRY_LANDING_BYTES - 1) & ~(own.page_bytes - 1);
  if (own.count == LANDINGS_MAX || !is_apart(at) || !leaves_room_for_heap(at) || !map_page(first) || !map_page(last))
    return false;
  entry_put_landing((uint8_t *)at, hook);
  own.landings[own.count++] = at;
  return true;
}

static bool place_between(uintptr_t low, uintptr_t limit, const void *hook, uintptr_t *at)
{
  for (*at = low; *at < limit; *at += ENTRY_LANDING_BYTES)
    if (place_at(*at, hook))
      return true;
  return false;
}

static uintptr_t lower(uintptr_t a, uintptr_t b)
{
  return a < b ? a : b;
}

/* In pages that are there already, if it may, so that there are few. */
static bool place_in_known(const struct entry_landing *range, const void *hook, uintptr_t *at)
{
  uintptr_t limit = range->lowest + range->span;
  for (size_t i = 0; i < own.page_count; i++) {
    uintptr_t page = own.pages[i], end = lower(limit, page + own.page_bytes - ENTRY_LANDING_BYTES + 1);
    if (place_between(page > range->lowest ? page : range->lowest, end, hook, at))
      return true;
  }
  return false;
}

static bool place_in_new(const struct entry_landing *range, const void *hook, uintptr_t *at)
{
  uintptr_t limit = range->lowest + range->span, low = range->lowest;
  for (int i = 0; i < TRIES_MAX && low < limit; i++) {
    uintptr_t end = (low & ~(own.page_bytes - 1)) + own.page_bytes;
    if (place_between(low, lower(limit, end), hook, at))
      return true;
    low = end;
  }
  return false;
}

bool landings_place(const struct entry *entry, const void *hook, struct landing *landing)
{
  struct entry_landing range;
  own.is_in_way_of_heap = false;
  for (landing->choice = 0; entry_landing(entry, landing->choice, &range); landing->choice++)
    if (place_in_known(&range, hook, &landing->at) || place_in_new(&range, hook, &landing->at))
      return true;
  return false;
}

const char *landings_refusal(void)
{
  return own.is_in_way_of_heap
             ? "begins so that a jump there leads to where the heap grows, and its allocator may know no other memory"
             : "begins so that a jump there could only lead to where no memory is free";
}

bool landings_make_executable(void)
{
  bool are_executable = true;
  for (size_t i = 0; i < own.page_count; i++)
    are_executable = are_executable && memory_make_executable((void *)own.pages[i], own.page_bytes);
  return are_executable;
}

void landings_unmap(void)
{
  for (size_t i = 0; i < own.page_count; i++)
    (void)sys_munmap((void *)own.pages[i], own.page_bytes);
  own.page_count = own.count = 0;
}
