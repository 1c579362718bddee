/* SPDX-License-Identifier: MIT */
/* A3: a plug-in that is opened with RTLD_DEEPBIND, and allocates by name, through a table, and in its constructor. OWN_MALLOC: it was linked
 * with a library that brings an allocator (hz_a3_own_malloc.c). */
#include <stdlib.h>

extern int hz_own_malloc_count(void) __attribute__((weak));
int (*plugin_count)(void) = hz_own_malloc_count;

static void *(*const volatile make_table[])(size_t) = {malloc};
static void (*const volatile release_table[])(void *) = {free};
static void *volatile from_constructor;

__attribute__((constructor)) static void construct(void)
{
  from_constructor = malloc(77);
}

/* Its own operator new, which ends in what malloc is to it. */
__attribute__((noinline)) void *_Znwm(size_t size);
void *_Znwm(size_t size)
{
  void *made = malloc(size);
  __asm__ volatile("" : "+r"(made)::"memory");
  return made;
}

__attribute__((noinline)) void *plugin_make(size_t size, int way);
void *plugin_make(size_t size, int way)
{
  void *made;
  switch (way % 6) {
  case 0: made = malloc(size); break;
  case 1: made = make_table[0](size); break;
  case 2: made = calloc(size, 1); break;
  case 3: made = aligned_alloc(64, size); break;
  case 4: made = _Znwm(size); break;
  default: made = realloc(NULL, size); break;
  }
  __asm__ volatile("" : "+r"(made)::"memory");
  return made;
}

__attribute__((noinline)) void plugin_release(void *pointer, int way);
void plugin_release(void *pointer, int way)
{
  if (way % 2 == 0)
    free(pointer);
  else
    release_table[0](pointer);
  __asm__ volatile("" ::: "memory");
}
