/* SPDX-License-Identifier: MIT */
/* A3: an allocator for the plug-in that was linked with it: what it did not make, it must never see, and the other way round. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 64 << 20 };
static char arena[BYTES] __attribute__((aligned(64)));
static size_t used;
static int count;

int hz_own_malloc_count(void);
int hz_own_malloc_count(void)
{
  return count;
}

void *aligned_alloc(size_t alignment, size_t size)
{
  char *made = arena + ((used + alignment - 1) & ~(alignment - 1));
  used = (size_t)(made - arena) + size;
  count++;
  return used <= BYTES ? made : NULL;
}

void *malloc(size_t size)
{
  return aligned_alloc(64, size);
}

void *calloc(size_t n, size_t size)
{
  return malloc(n * size);
}

void *realloc(void *pointer, size_t size)
{
  return pointer == NULL ? malloc(size) : NULL;
}

void free(void *pointer)
{
  if (pointer == NULL)
    return;
  if ((uintptr_t)pointer - (uintptr_t)arena >= BYTES)
    __builtin_trap();
  count--;
}
