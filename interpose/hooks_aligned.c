/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "interpose/allocation.h"
#include "interpose/real.h"

#include <errno.h>

enum { PROBE_BYTES = 64 };

/* A hook, and the probe that tells whether its real function is counted here. */
#define ALIGNED_HOOK(symbol, parameters, arguments)                                                                    \
  static enum counting probe_##symbol(UNUSED size_t alignment, size_t size)                                            \
  {                                                                                                                    \
    uint64_t probe = sampler_probe_begin();                                                                            \
    void *pointer = real.symbol arguments;                                                                             \
    bool was_entered = sampler_probe_end(probe);                                                                       \
    real.free(pointer);                                                                                                \
    return was_entered ? COUNTING_INSIDE : COUNTING_HERE;                                                              \
  }                                                                                                                    \
  void *symbol parameters                                                                                              \
  {                                                                                                                    \
    static enum counting counting;                                                                                     \
    struct unwind_start start = UNWIND_START_HERE();                                                                   \
    real_ensure();                                                                                                     \
    if (UNLIKELY(real.symbol == NULL))                                                                                 \
      return NULL;                                                                                                     \
    if (UNLIKELY(counting == COUNTING_UNKNOWN))                                                                        \
      counting = real_is_allocators.symbol ? probe_##symbol(PROBE_BYTES, PROBE_BYTES) : COUNTING_INSIDE;               \
    struct request request = request_begin(size, counting == COUNTING_HERE);                                           \
    void *pointer = real.symbol arguments;                                                                             \
    request_end(&request, pointer, &start);                                                                            \
    return pointer;                                                                                                    \
  }

ALIGNED_HOOK(memalign, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(valloc, (size_t size), (size))
ALIGNED_HOOK(pvalloc, (size_t size), (size))

static enum counting probe_posix_memalign(void)
{
  void *pointer = NULL;
  uint64_t probe = sampler_probe_begin();
  int result = real.posix_memalign(&pointer, PROBE_BYTES, PROBE_BYTES);
  bool was_entered = sampler_probe_end(probe);
  if (result == 0)
    real.free(pointer);
  return was_entered ? COUNTING_INSIDE : COUNTING_HERE;
}

int posix_memalign(void **pointer, size_t alignment, size_t size)
{
  static enum counting counting;
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (UNLIKELY(real.posix_memalign == NULL))
    return ENOMEM;
  if (UNLIKELY(counting == COUNTING_UNKNOWN))
    counting = real_is_allocators.posix_memalign ? probe_posix_memalign() : COUNTING_INSIDE;
  struct request request = request_begin(size, counting == COUNTING_HERE);
  int result = real.posix_memalign(pointer, alignment, size);
  request_end(&request, result == 0 ? *pointer : NULL, &start);
  return result;
}
