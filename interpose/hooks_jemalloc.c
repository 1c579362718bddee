/* SPDX-License-Identifier: MIT */
/* jemalloc's own API. Without jemalloc these work on top of malloc (fallback.c), which counts. */
#include "interpose/hooks.h"

#include "core/record.h"
#include "interpose/allocation.h"
#include "interpose/real.h"

ARCH_ENTRY void *mallocx(size_t size, int flags)
{
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  struct request request = request_begin(size, real_is_allocators.mallocx);
  void *pointer = real.mallocx(size, flags);
  request_end(&request, pointer, &start);
  return pointer;
}

ARCH_ENTRY void *rallocx(void *pointer, size_t size, int flags)
{
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (!real_is_allocators.rallocx)
    return real.rallocx(pointer, size, flags);
  struct request request = request_begin(size, true);
  struct resize resize = resize_begin(pointer);
  void *resized = real.rallocx(pointer, size, flags);
  resize_end(&resize, resized != NULL);
  request_end(&request, resized, &start);
  return resized;
}

/* Resizes in place or not at all; the pointer keeps its owner, so nothing needs to leave the table beforehand. The
 * result is the real size: smaller than asked for means that nothing changed. */
ARCH_ENTRY size_t xallocx(void *pointer, size_t size, size_t extra, int flags)
{
  struct unwind_start start = UNWIND_START_HERE();
  real_ensure();
  if (!real_is_allocators.xallocx)
    return real.xallocx(pointer, size, extra, flags);
  struct request request = request_begin(size, true);
  size_t real_size = real.xallocx(pointer, size, extra, flags);
  if (real_size >= size) {
    struct resize resize = resize_begin(pointer);
    resize_end(&resize, true);
  }
  request_end(&request, real_size >= size ? pointer : NULL, &start);
  return real_size;
}

ARCH_ENTRY void dallocx(void *pointer, int flags)
{
  real_ensure();
  if (live_filter_may_hold(pointer))
    record_free(pointer);
  real.dallocx(pointer, flags);
}

ARCH_ENTRY void sdallocx(void *pointer, size_t size, int flags)
{
  real_ensure();
  if (live_filter_may_hold(pointer))
    record_free(pointer);
  real.sdallocx(pointer, size, flags);
}
