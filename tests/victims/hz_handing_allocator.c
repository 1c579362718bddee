/* SPDX-License-Identifier: MIT */
/* A1: an allocator, for preloading, that makes the worst moment certain: a freed block of HANDED_BYTES is given to whoever asks next,
 * and free does not return before somebody has. Everything else is passed on to the next allocator. */
#include "hz_handing_allocator.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static void *(*next_malloc)(size_t);
static void (*next_free)(void *);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static _Atomic(void *) offered;
static void *_Atomic handed[HANDED_BLOCKS];
static _Atomic int handed_count;

__attribute__((constructor)) static void resolve(void)
{
  next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
  next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
  next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
  next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
}

bool hz_is_offered(void)
{
  return atomic_load(&offered) != NULL;
}

static bool is_handed(void *pointer)
{
  for (int i = 0; i < atomic_load(&handed_count); i++)
    if (atomic_load(&handed[i]) == pointer)
      return true;
  return false;
}

void *malloc(size_t size)
{
  if (next_malloc == NULL)
    resolve();
  if (size != HANDED_BYTES)
    return next_malloc(size);
  void *pointer = atomic_exchange(&offered, NULL);
  if (pointer != NULL)
    return pointer;
  pointer = next_malloc(size);
  atomic_store(&handed[atomic_fetch_add(&handed_count, 1)], pointer);
  return pointer;
}

void free(void *pointer)
{
  if (next_free == NULL)
    resolve();
  if (pointer == NULL || !is_handed(pointer)) {
    next_free(pointer);
    return;
  }
  atomic_store(&offered, pointer);
  while (atomic_load(&offered) != NULL)
    sched_yield();
  for (int i = 0; i < 100; i++) /* the new owner gets as far as it can */
    sched_yield();
}

void *calloc(size_t count, size_t size)
{
  if (next_calloc == NULL)
    resolve();
  return next_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
  if (next_realloc == NULL)
    resolve();
  return next_realloc(pointer, size);
}
