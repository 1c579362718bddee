/* SPDX-License-Identifier: MIT */
#include "interpose/bootstrap.h"

#include "core/live.h"
#include "core/live_filter.h"

#include <stdatomic.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, ALIGNMENT = 16 };

_Alignas(PAGE_BYTES) char bootstrap_arena[BOOTSTRAP_ARENA_BYTES];
static _Atomic size_t arena_used;

void bootstrap_init(void)
{
  for (size_t offset = 0; offset < sizeof bootstrap_arena; offset += PAGE_BYTES)
    live_filter_mark_forever(bootstrap_arena + offset);
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
