/* SPDX-License-Identifier: MIT */
#include "interpose/musl.h"

#include "core/arch/arch.h"
#include "core/libc.h"
#include "interpose/loader.h"
#include "interpose/real_functions.h"

#include <stdbool.h>

/* The start. */

static char **environment_of_musl(void)
{
  char ***environment = loader_find("environ");
  return environment != NULL ? *environment : NULL;
}

/* As the kernel has left them: the number of arguments, the arguments, NULL, the environment. NULL: it is elsewhere. */
static char **find_arguments(char *const *environment, uintptr_t low, uintptr_t high)
{
  if ((uintptr_t)environment < low || (uintptr_t)environment >= high || environment[-1] != NULL)
    return NULL;
  for (char *const *at = environment - 2; (uintptr_t)(at - 1) > low; at--)
    if (*at == program_invocation_name && (uintptr_t)at[-1] == (uintptr_t)(environment - 1 - at))
      return (char **)at;
  return NULL;
}

struct musl_start musl_find_start(void)
{
  static char *name_alone[2];
  char **environment = environment_of_musl();
  uintptr_t high = libc_auxv(AT_EXECFN); /* lies above them on the stack */
  char **argv = find_arguments(environment, (uintptr_t)__builtin_frame_address(0), high);
  name_alone[0] = program_invocation_name;
  return (struct musl_start){argv != NULL ? argv : name_alone, environment != NULL ? environment : name_alone + 1,
                             argv != NULL ? (uintptr_t)argv : high};
}

/* The allocator. */

enum { PAGE_BYTES = 4096 };

static bool is_clear(const char *page)
{
  const uintptr_t *words = (const uintptr_t *)(const void *)page;
  for (unsigned i = 0; i < PAGE_BYTES / sizeof *words; i++)
    if (words[i] != 0)
      return false;
  return true;
}

/* What is clear already is not written to: fresh pages stay without memory. */
static void clear(char *bytes, size_t size)
{
  size_t at = -(uintptr_t)bytes % PAGE_BYTES;
  if (size < at + PAGE_BYTES) {
    memset(bytes, 0, size);
    return;
  }
  memset(bytes, 0, at);
  for (; size - at >= PAGE_BYTES; at += PAGE_BYTES)
    if (!is_clear(bytes + at))
      memset(bytes + at, 0, PAGE_BYTES);
  memset(bytes + at, 0, size - at);
}

static ARCH_ENTRY void *calloc_by_malloc(size_t count, size_t size)
{
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  void *pointer = real.malloc(bytes);
  if (pointer != NULL)
    clear(pointer, bytes);
  return pointer;
}

static ARCH_ENTRY void *reallocarray_by_realloc(void *pointer, size_t count, size_t size)
{
  size_t bytes;
  if (!__builtin_mul_overflow(count, size, &bytes))
    return real.realloc(pointer, bytes);
  errno = ENOMEM;
  return NULL;
}

static ARCH_ENTRY int posix_memalign_by_aligned_alloc(void **pointer, size_t alignment, size_t size)
{
  if (alignment < sizeof(void *))
    return EINVAL;
  void *aligned = real.aligned_alloc(alignment, size);
  if (aligned == NULL)
    return errno;
  *pointer = aligned;
  return 0;
}

static ARCH_ENTRY void *valloc_by_aligned_alloc(size_t size)
{
  return real.aligned_alloc(libc_auxv(AT_PAGESZ), size);
}

void musl_complete(void)
{
  real.calloc = calloc_by_malloc;
  real.reallocarray = reallocarray_by_realloc;
  real.posix_memalign = posix_memalign_by_aligned_alloc;
  real.memalign = real.aligned_alloc;
  real.valloc = valloc_by_aligned_alloc;
  real_is_allocators.reallocarray = true;
}
