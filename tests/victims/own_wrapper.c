/* SPDX-License-Identifier: MIT */
/* malloc and the others, linked into the program, each of which only calls the next one, as a program has them that counts what it
 * allocates. dlsym allocates: that is taken from an array. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static char early[4096];
static size_t early_used;

static void *find(const char *name)
{
  void *found = dlsym((void *)-1l, name); /* RTLD_NEXT */
  if (found == NULL)
    abort();
  return found;
}

#define NEXT(type, name, parameters, arguments)                                                                        \
  type name parameters                                                                                                 \
  {                                                                                                                    \
    static type(*next) parameters;                                                                                     \
    if (next == NULL)                                                                                                  \
      *(void **)&next = find(#name);                                                                                   \
    return next arguments;                                                                                             \
  }

NEXT(void *, malloc, (size_t size), (size))
NEXT(void *, realloc, (void *pointer, size_t size), (pointer, size))
NEXT(void *, memalign, (size_t alignment, size_t size), (alignment, size))
NEXT(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
NEXT(int, posix_memalign, (void **pointer, size_t alignment, size_t size), (pointer, alignment, size))

NEXT(void *, valloc, (size_t size), (size))
NEXT(void *, pvalloc, (size_t size), (size))

static void *(*next_calloc)(size_t count, size_t size);

void *calloc(size_t count, size_t size)
{
  static int is_finding;
  if (next_calloc == NULL && is_finding++ == 0)
    *(void **)&next_calloc = find("calloc");
  if (next_calloc != NULL)
    return next_calloc(count, size);
  early_used += (count * size + 15) & ~(size_t)15;
  return early_used <= sizeof early ? early + early_used - ((count * size + 15) & ~(size_t)15) : NULL;
}

void free(void *pointer)
{
  static void (*next)(void *pointer);
  static int is_finding;
  if ((size_t)((char *)pointer - early) < sizeof early)
    return;
  if (next == NULL && is_finding++ == 0)
    *(void **)&next = find("free");
  if (next != NULL) /* dlsym frees, too */
    next(pointer);
}
