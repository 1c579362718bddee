/* SPDX-License-Identifier: MIT */
#include "core/arena.h"

#include "core/compiler.h"
#include "core/sys.h"

#include <string.h>

enum { ALIGNMENT = 16, CHUNK_BYTES = 1 << 20, PAGE_BYTES = 4096 };

struct arena_chunk {
  struct arena_chunk *older;
  size_t size; /* 0: it is the caller's */
};

static size_t round_up(size_t size, size_t unit)
{
  return (size + unit - 1) & ~(unit - 1);
}

static bool add_chunk(struct arena *arena, size_t room)
{
  size_t size = round_up(room + ALIGNMENT + sizeof(struct arena_chunk), PAGE_BYTES);
  if (size < CHUNK_BYTES)
    size = CHUNK_BYTES;
  struct arena_chunk *chunk = size > room ? sys_map_anonymous(size) : NULL;
  if (chunk == NULL)
    return false;
  *chunk = (struct arena_chunk){.older = arena->chunks, .size = size};
  arena->chunks = chunk;
  arena->used = round_up(sizeof *chunk, ALIGNMENT);
  arena->capacity = size;
  return true;
}

void arena_begin(struct arena *arena, void *memory, size_t size)
{
  *arena = (struct arena){.chunks = memory, .used = round_up(sizeof(struct arena_chunk), ALIGNMENT), .capacity = size};
}

void *arena_get(struct arena *arena, size_t size)
{
  bool is_possible = size <= SIZE_MAX / 2;
  size = size > 0 ? round_up(size, ALIGNMENT) : ALIGNMENT; /* NULL would pass for a failure */
  if (!is_possible || (size > arena->capacity - arena->used && !add_chunk(arena, size))) {
    arena->failed = true;
    return NULL;
  }
  void *bytes = (char *)arena->chunks + arena->used; /* fresh from mmap, never reused: zero */
  arena->used += size;
  INVARIANT(arena->used <= arena->capacity && (uintptr_t)bytes % ALIGNMENT == 0);
  return bytes;
}

void *arena_get_array(struct arena *arena, size_t count, size_t element_size)
{
  size_t size;
  if (!__builtin_mul_overflow(count, element_size, &size))
    return arena_get(arena, size);
  arena->failed = true;
  return NULL;
}

char *arena_copy_text(struct arena *arena, const char *text, size_t length)
{
  char *copy = arena_get(arena, length + 1);
  if (copy != NULL)
    memcpy(copy, text, length);
  return copy;
}

void arena_release(struct arena *arena)
{
  for (struct arena_chunk *chunk = arena->chunks; chunk != NULL;) {
    struct arena_chunk *older = chunk->older;
    if (chunk->size > 0)
      sys_munmap(chunk, chunk->size);
    chunk = older;
  }
  *arena = (struct arena){.chunks = NULL};
}
