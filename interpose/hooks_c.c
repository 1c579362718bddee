/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "core/record.h"
#include "interpose/allocation.h"
#include "interpose/bootstrap.h"
#include "interpose/probe.h"
#include "interpose/real.h"

#include <errno.h>
#include <string.h>

/* Each hot hook is a few integer instructions and a tail jump to the real function; everything else is in a function of
 * its own that the hook jumps to, so that its caller is still the application. */

static SAMPLED NOINLINE ARCH_ENTRY void *malloc_due(size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (UNLIKELY(real.malloc == NULL))
    return bootstrap_get(size);
  struct sampler_decision decision = sampler_decide(size);
  void *pointer = real.malloc(size);
  allocation_finish(pointer, size, &decision, &start);
  return pointer;
}

SAMPLED void *malloc(size_t size)
{
  return sampler_count_down(size) ? malloc_due(size) : real.malloc(size);
}

static SAMPLED NOINLINE ARCH_ENTRY void *calloc_due(size_t count, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  size_t bytes = count * size; /* the hook has seen that it does not overflow */
  real_ensure();
  if (UNLIKELY(real.calloc == NULL))
    return bootstrap_get(bytes);
  struct sampler_decision decision = sampler_decide(bytes);
  void *pointer = real.calloc(count, size);
  allocation_finish(pointer, bytes, &decision, &start);
  return pointer;
}

/* The real function refuses in its own way. It may not be known yet. */
static NOINLINE ARCH_ENTRY void *calloc_overflowing(size_t count, size_t size)
{
  real_ensure();
  if (real.calloc != NULL)
    return real.calloc(count, size);
  errno = ENOMEM;
  return NULL;
}

SAMPLED void *calloc(size_t count, size_t size)
{
  size_t bytes;
  if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
    return calloc_overflowing(count, size);
  return sampler_count_down(bytes) ? calloc_due(count, size) : real.calloc(count, size);
}

/* What dlsym got from the bootstrap arena moves to the real heap when it grows. */
static ARCH_ENTRY COLD void *move_from_bootstrap(void *pointer, size_t size)
{
  void *moved = malloc(size);
  size_t old_size = bootstrap_size(pointer);
  if (moved != NULL)
    memcpy(moved, pointer, old_size < size ? old_size : size);
  return moved;
}

static SAMPLED NOINLINE ARCH_ENTRY void *realloc_noted(void *pointer, size_t size, bool is_due)
{
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (UNLIKELY(real.realloc == NULL))
    return bootstrap_get(size);
  struct sampler_decision decision = {.is_sampled = false};
  if (is_due)
    decision = sampler_decide(size);
  struct resize resize = resize_begin(pointer);
  void *resized = real.realloc(pointer, size);
  resize_end(&resize, resize_has_freed(pointer, size, resized));
  allocation_finish(resized, size, &decision, &start);
  return resized;
}

SAMPLED void *realloc(void *pointer, size_t size)
{
  bool is_due = sampler_count_down(size);
  if (UNLIKELY(is_due || live_filter_may_hold(pointer)))
    return UNLIKELY(bootstrap_owns(pointer)) ? move_from_bootstrap(pointer, size)
                                             : realloc_noted(pointer, size, is_due);
  return real.realloc(pointer, size);
}

/* glibc's calls realloc, through us. */
static void *make_by_reallocarray(void)
{
  return real.reallocarray(NULL, 1, PROBE_BYTES);
}

static void release(void *pointer)
{
  real.free(pointer);
}

static NOINLINE ARCH_ENTRY bool reallocarray_counts_inside(void)
{
  static struct probe probe = {.make = make_by_reallocarray, .release = release};
  real_ensure();
  return probe_answer(&probe, real_is_allocators.reallocarray) == COUNTING_INSIDE;
}

static NOINLINE ARCH_ENTRY void *reallocarray_noted(void *pointer, size_t count, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes))
    return real.reallocarray(pointer, count, size);
  struct request request = request_begin(bytes, true);
  struct resize resize = resize_begin(pointer);
  void *resized = real.reallocarray(pointer, count, size);
  resize_end(&resize, resize_has_freed(pointer, bytes, resized));
  request_end(&request, resized, &start);
  return resized;
}

/* Has no frame while the allocator's runs: the realloc that it calls has one, and records on top of it. */
void *reallocarray(void *pointer, size_t count, size_t size)
{
  if (reallocarray_counts_inside())
    JUMP return real.reallocarray(pointer, count, size);
  JUMP return reallocarray_noted(pointer, count, size);
}

static SAMPLED NOINLINE ARCH_ENTRY void free_noted(void *pointer)
{
  if (UNLIKELY(bootstrap_owns(pointer)))
    return;
  record_free(pointer);
  real.free(pointer);
}

SAMPLED void free(void *pointer)
{
  if (UNLIKELY(live_filter_may_hold(pointer)))
    free_noted(pointer);
  else
    real.free(pointer);
}

/* The rest of the family, too rare for a fast path. */

static void forget(void *pointer)
{
  real_ensure();
  if (live_filter_may_hold(pointer))
    record_free(pointer);
}

ARCH_ENTRY void cfree(void *pointer)
{
  forget(pointer);
  real.cfree(pointer);
}

ARCH_ENTRY void free_sized(void *pointer, size_t size)
{
  forget(pointer);
  real.free_sized(pointer, size);
}

ARCH_ENTRY void free_aligned_sized(void *pointer, size_t alignment, size_t size)
{
  forget(pointer);
  real.free_aligned_sized(pointer, alignment, size);
}

ARCH_ENTRY void vfree(void *pointer)
{
  forget(pointer);
  real.vfree(pointer);
}

/* What cannot be resized is freed. */
static NOINLINE ARCH_ENTRY void *reallocf_noted(void *pointer, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  struct request request = request_begin(size, true);
  struct resize resize = resize_begin(pointer);
  void *resized = real.reallocf(pointer, size);
  resize_end(&resize, true);
  request_end(&request, resized, &start);
  return resized;
}

static NOINLINE ARCH_ENTRY const struct real_origins *ensured(void)
{
  real_ensure();
  return &real_is_allocators;
}

/* This one and the next have no frame while ours runs in place of the allocator's: the realloc that it calls records
 * below it. */
void *reallocf(void *pointer, size_t size)
{
  if (!ensured()->reallocf)
    JUMP return real.reallocf(pointer, size);
  JUMP return reallocf_noted(pointer, size);
}

static NOINLINE ARCH_ENTRY int reallocarr_noted(void *place, size_t count, size_t size)
{
  struct unwind_start start = UNWIND_START_HERE();
  size_t bytes;
  void *pointer;
  if (__builtin_mul_overflow(count, size, &bytes))
    return real.reallocarr(place, count, size);
  memcpy(&pointer, place, sizeof pointer);
  struct request request = request_begin(bytes, true);
  struct resize resize = resize_begin(pointer);
  int result = real.reallocarr(place, count, size);
  resize_end(&resize, result == 0);
  memcpy(&pointer, place, sizeof pointer);
  request_end(&request, result == 0 ? pointer : NULL, &start);
  return result;
}

int reallocarr(void *place, size_t count, size_t size)
{
  if (!ensured()->reallocarr)
    JUMP return real.reallocarr(place, count, size);
  JUMP return reallocarr_noted(place, count, size);
}

/* Except this one: servers that count their memory ask for every object, when it is made and when it is freed. */
size_t malloc_usable_size(void *pointer)
{
  return real_usable_size(pointer);
}
