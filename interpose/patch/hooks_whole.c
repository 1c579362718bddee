/* SPDX-License-Identifier: MIT */
#include "interpose/patch/hooks_whole.h"

#include "core/arch/arch.h"
#include "core/live/live_filter.h"
#include "core/sampler.h"
#include "interpose/allocation.h"
#include "interpose/hooks.h"
#include "interpose/real.h"

#include <string.h>

static SAMPLED void *whole_malloc(size_t size)
{
  return sampler_count_down(size) ? hooks_malloc_due(size) : real.malloc(size);
}

static SAMPLED void whole_free(void *pointer)
{
  if (UNLIKELY(live_filter_may_hold(pointer)))
    hooks_free_noted(pointer);
  else
    real.free(pointer);
}

#define WHOLE(symbol, parameters, arguments)                                                                           \
  static ARCH_ENTRY void *whole_##symbol parameters                                                                    \
  {                                                                                                                    \
    struct unwind_start start = UNWIND_START_HERE();                                                                   \
    struct request request = request_begin(size, true);                                                                \
    struct sampler_pause pause = sampler_pause_begin();                                                                \
    void *pointer = real.symbol arguments;                                                                             \
    sampler_pause_end(pause);                                                                                          \
    request_end(&request, pointer, &start);                                                                            \
    return pointer;                                                                                                    \
  }

WHOLE(memalign, (size_t alignment, size_t size), (alignment, size))
WHOLE(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WHOLE(valloc, (size_t size), (size))
WHOLE(pvalloc, (size_t size), (size))

static ARCH_ENTRY int whole_posix_memalign(void **pointer, size_t alignment, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  struct request request = request_begin(size, true);
  struct sampler_pause pause = sampler_pause_begin();
  int result = real.posix_memalign(pointer, alignment, size);
  sampler_pause_end(pause);
  request_end(&request, result == 0 ? *pointer : NULL, &start);
  return result;
}

static ARCH_ENTRY void *whole_calloc(size_t count, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return real.calloc(count, size);
  struct request request = request_begin(bytes, true);
  struct sampler_pause pause = sampler_pause_begin();
  void *pointer = real.calloc(count, size);
  sampler_pause_end(pause);
  request_end(&request, pointer, &start);
  return pointer;
}

static ARCH_ENTRY void *whole_realloc(void *pointer, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  struct request request = request_begin(size, true);
  struct resize resize = resize_begin(pointer);
  struct sampler_pause pause = sampler_pause_begin();
  void *resized = real.realloc(pointer, size);
  sampler_pause_end(pause);
  resize_end(&resize, resize_has_freed(pointer, size, resized));
  request_end(&request, resized, &start);
  return resized;
}

static const struct {
  const char *symbol;
  const void *hook;
} wholes[] = {
#define NAMED(symbol)                                                                                                  \
  {                                                                                                                    \
#symbol, (const void *)whole_##symbol                                                                              \
  }
    NAMED(malloc),        NAMED(free),   NAMED(calloc),  NAMED(realloc),        NAMED(memalign),
    NAMED(aligned_alloc), NAMED(valloc), NAMED(pvalloc), NAMED(posix_memalign),
};

const void *hooks_whole_find(const char *symbol)
{
  for (size_t i = 0; i < COUNT_OF(wholes); i++)
    if (strcmp(symbol, wholes[i].symbol) == 0)
      return wholes[i].hook;
  return NULL;
}
