/* SPDX-License-Identifier: MIT */
/* Entry points that not every allocator has. They are looked up outside of victim_* functions: dlsym may allocate. */
#ifndef PROVIDERS_H
#define PROVIDERS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

static void (*free_sized_entry)(void *, size_t);
static void (*free_aligned_sized_entry)(void *, size_t, size_t);
static void (*cfree_entry)(void *);

static inline void find_optional_entry_points(void)
{
  free_sized_entry = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
  free_aligned_sized_entry = (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
  cfree_entry = (void (*)(void *))dlsym(RTLD_DEFAULT, "cfree");
}

static inline void free_sized_or_free(void *p, size_t size)
{
  if (free_sized_entry != NULL)
    free_sized_entry(p, size);
  else
    free(p);
}

static inline void free_aligned_sized_or_free(void *p, size_t alignment, size_t size)
{
  if (free_aligned_sized_entry != NULL)
    free_aligned_sized_entry(p, alignment, size);
  else
    free(p);
}

static inline void cfree_or_free(void *p)
{
  if (cfree_entry != NULL)
    cfree_entry(p);
  else
    free(p);
}

/* mallctl, not mallocx: only the allocator itself has it. */
static inline bool malloc_is_jemalloc(void)
{
  return dlsym(RTLD_DEFAULT, "mallctl") != NULL;
}

/* jemalloc has no pvalloc, so that of glibc answers, with memory that jemalloc's free then crashes on. */
static inline bool malloc_has_pvalloc(void)
{
  return !malloc_is_jemalloc();
}

#endif
