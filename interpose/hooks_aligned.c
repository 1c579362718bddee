/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "interpose/allocation.h"
#include "interpose/probe.h"
#include "interpose/real.h"

#include <errno.h>

static void release(void *pointer)
{
  real.free(pointer);
}

/* A hook, and what its probe makes. */
#define ALIGNED_HOOK(symbol, parameters, arguments)                                                                    \
  static void *make_by_##symbol(void)                                                                                  \
  {                                                                                                                    \
    UNUSED size_t alignment = PROBE_BYTES, size = PROBE_BYTES;                                                         \
    return real.symbol arguments;                                                                                      \
  }                                                                                                                    \
  ARCH_ENTRY void *symbol parameters                                                                                   \
  {                                                                                                                    \
    static struct probe probe = {.make = make_by_##symbol, .release = release};                                        \
    struct unwind_start start = UNWIND_START_HERE();                                                                   \
    real_ensure();                                                                                                     \
    if (UNLIKELY(real.symbol == NULL))                                                                                 \
      return NULL;                                                                                                     \
    enum counting counting = probe_answer(&probe, real_is_allocators.symbol);                                          \
    struct request request = request_begin(size, counting == COUNTING_HERE);                                           \
    void *pointer = real.symbol arguments;                                                                             \
    request_end(&request, pointer, &start);                                                                            \
    return pointer;                                                                                                    \
  }

ALIGNED_HOOK(memalign, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(valloc, (size_t size), (size))
ALIGNED_HOOK(pvalloc, (size_t size), (size))

static void *make_by_posix_memalign(void)
{
  void *pointer;
  return real.posix_memalign(&pointer, PROBE_BYTES, PROBE_BYTES) == 0 ? pointer : NULL;
}

ARCH_ENTRY int posix_memalign(void **pointer, size_t alignment, size_t size)
{
  static struct probe probe = {.make = make_by_posix_memalign, .release = release};
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (UNLIKELY(real.posix_memalign == NULL))
    return ENOMEM;
  enum counting counting = probe_answer(&probe, real_is_allocators.posix_memalign);
  struct request request = request_begin(size, counting == COUNTING_HERE);
  int result = real.posix_memalign(pointer, alignment, size);
  request_end(&request, result == 0 ? *pointer : NULL, &start);
  return result;
}
