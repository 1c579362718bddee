// SPDX-License-Identifier: MIT
// Allocator rows 3 and 5: every way to allocate and to free, each request counted once, nothing left in the end.
#include "hz_victim.h"
#include <dlfcn.h>
#include <malloc.h>
#include <new>

extern "C" {
void free_sized(void *, size_t) __attribute__((weak));
void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));
int mallctl(const char *, void *, size_t *, void *, size_t) __attribute__((weak)); // only in jemalloc
void *mallocx(size_t, int) __attribute__((weak));
void *rallocx(void *, size_t, int) __attribute__((weak));
size_t xallocx(void *, size_t, size_t, int) __attribute__((weak));
void dallocx(void *, int) __attribute__((weak));
void sdallocx(void *, size_t, int) __attribute__((weak));
void *hz_resized_in_place(void *unused);
}

static const size_t SIZE = 256; // a multiple of the alignment: libstdc++ rounds up to one
static const std::align_val_t ALIGNED{64};

static void *allocated(void *p, size_t size = SIZE)
{
  REQUIRE(p != nullptr);
  memset(p, 1, size);
  return shadow_add(p, size);
}

static void *freed(void *p, size_t size = SIZE)
{
  shadow_remove(size);
  return p;
}

static void *by_posix_memalign()
{
  void *p = nullptr;
  REQUIRE(posix_memalign(&p, 64, SIZE) == 0);
  return p;
}

static void *resized(void *p, void *q)
{
  freed(p);
  return q;
}

static void c_functions()
{
  free(freed(allocated(malloc(SIZE))));
  free(freed(allocated(calloc(4, SIZE / 4))));
  free(freed(allocated(realloc(nullptr, SIZE))));
  void *p = allocated(malloc(SIZE));
  free(freed(allocated(resized(p, realloc(p, 3 * SIZE)), 3 * SIZE), 3 * SIZE));
  p = allocated(malloc(SIZE));
  free(freed(allocated(resized(p, reallocarray(p, 5, SIZE)), 5 * SIZE), 5 * SIZE));
  free(freed(allocated(memalign(64, SIZE))));
  free(freed(allocated(aligned_alloc(64, SIZE))));
  free(freed(allocated(by_posix_memalign())));
  free(freed(allocated(valloc(SIZE))));
  if (!mallctl) // jemalloc has none: it would be glibc's
    free(freed(allocated(pvalloc(SIZE))));
  free(freed(allocated(strdup("sixteen letters."), 17), 17));
  if (auto cfree = mallctl ? nullptr : reinterpret_cast<void (*)(void *)>(dlsym(RTLD_DEFAULT, "cfree")))
    cfree(freed(allocated(malloc(SIZE))));
  if (free_sized)
    free_sized(freed(allocated(malloc(SIZE))), SIZE);
  if (free_aligned_sized)
    free_aligned_sized(freed(allocated(aligned_alloc(64, SIZE))), 64, SIZE);
  free(nullptr);
}

static void cxx_operators()
{
  operator delete(freed(allocated(operator new(SIZE))));
  operator delete(freed(allocated(operator new(SIZE))), SIZE);
  operator delete(freed(allocated(operator new(SIZE, std::nothrow))), std::nothrow);
  operator delete(freed(allocated(operator new(SIZE, ALIGNED))), ALIGNED);
  operator delete(freed(allocated(operator new(SIZE, ALIGNED))), SIZE, ALIGNED);
  operator delete(freed(allocated(operator new(SIZE, ALIGNED, std::nothrow))), ALIGNED, std::nothrow);
  operator delete[](freed(allocated(operator new[](SIZE))));
  operator delete[](freed(allocated(operator new[](SIZE))), SIZE);
  operator delete[](freed(allocated(operator new[](SIZE, std::nothrow))), std::nothrow);
  operator delete[](freed(allocated(operator new[](SIZE, ALIGNED))), ALIGNED);
  operator delete[](freed(allocated(operator new[](SIZE, ALIGNED))), SIZE, ALIGNED);
  operator delete[](freed(allocated(operator new[](SIZE, ALIGNED, std::nothrow))), ALIGNED, std::nothrow);
  operator delete(nullptr);
}

static void jemalloc_functions()
{
  dallocx(freed(allocated(mallocx(SIZE, 0))), 0);
  sdallocx(freed(allocated(mallocx(SIZE, 0))), SIZE, 0);
  void *p = allocated(mallocx(SIZE, 0));
  dallocx(freed(allocated(resized(p, rallocx(p, 4 * SIZE, 0)), 4 * SIZE), 4 * SIZE), 0);
}

// Whether a resize in place is a new request is the profiler's choice; that nothing is left is not.
__attribute__((noinline)) void *hz_resized_in_place(void *unused)
{
  void *p = mallocx(SIZE, 0);
  xallocx(p, SIZE + 8, 0, 0);
  xallocx(p, 100 * SIZE, 0, 0);
  dallocx(p, 0);
  return unused;
}

static void *work(void *unused)
{
  for (int i = 0; i < 100; i++) {
    c_functions();
    cxx_operators();
    if (mallctl)
      jemalloc_functions();
  }
  return unused;
}

int main()
{
  hz_alarm(20);
  victim_counted(work, nullptr);
  for (int i = 0; mallctl && i < 10; i++)
    hz_resized_in_place(nullptr);
  hz_report();
}
