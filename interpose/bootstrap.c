/* SPDX-License-Identifier: MIT */
#include "interpose/bootstrap.h"

#include "core/live/live_filter.h"

#include <stdatomic.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, ALIGNMENT = 16 };

LARGE char bootstrap_arena[BOOTSTRAP_ARENA_BYTES];
static _Atomic size_t arena_used;

/* So that free looks twice at what lies there. */
static void mark(const char *from, const char *to)
{
  for (; from < to; from += PAGE_BYTES)
    live_filter_mark_forever(from);
  live_filter_mark_forever(to - 1);
}

/* Each block is preceded by its size. */
void *bootstrap_get(size_t size)
{
  if (size > BOOTSTRAP_ARENA_BYTES)
    return NULL;
  size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  size_t at = atomic_load(&arena_used);
  do {
    if (size + ALIGNMENT > BOOTSTRAP_ARENA_BYTES - at)
      return NULL;
  } while (!atomic_compare_exchange_weak(&arena_used, &at, at + size + ALIGNMENT));
  mark(bootstrap_arena + at, bootstrap_arena + at + size + ALIGNMENT);
  *(size_t *)(void *)(bootstrap_arena + at) = size;
  return bootstrap_arena + at + ALIGNMENT;
}

bool bootstrap_is_used(void)
{
  return atomic_load(&arena_used) > 0;
}

size_t bootstrap_size(const void *pointer)
{
  return *(const size_t *)(const void *)((const char *)pointer - ALIGNMENT);
}
