/* SPDX-License-Identifier: MIT */
/* jemalloc's own API, beside the standard one. Elsewhere it has nothing to do, and says "no jemalloc" with status 77. */
#include "providers.h"
#include "shadow.h"

static void *(*mallocx_entry)(size_t, int);
static void *(*rallocx_entry)(void *, size_t, int);
static size_t (*xallocx_entry)(void *, size_t, size_t, int);
static void (*dallocx_entry)(void *, int);
static void (*sdallocx_entry)(void *, size_t, int);

enum { LG_ALIGN_4096 = 12, ZERO = 0x40 }; /* MALLOCX_LG_ALIGN(12), MALLOCX_ZERO */

VICTIM void victim_mallocx(size_t size)
{
  char *p = shadow_add(mallocx_entry(size, ZERO), size);
  REQUIRE(p != NULL && p[size - 1] == 0);
  p = shadow_add(mallocx_entry(size, LG_ALIGN_4096), size);
  REQUIRE((uintptr_t)p % 4096 == 0);
  dallocx_entry(p, 0);
  shadow_remove(size);
  sdallocx_entry(shadow_add(mallocx_entry(size, 0), size), size, 0);
  shadow_remove(size);
  free(shadow_add(mallocx_entry(size, 0), size));
  shadow_remove(size);
}

VICTIM void victim_rallocx(size_t size)
{
  void *p = shadow_add(malloc(size), size);
  shadow_remove(size);
  p = shadow_add(rallocx_entry(p, 3 * size, 0), 3 * size);
  shadow_remove(3 * size);
  REQUIRE(shadow_add(rallocx_entry(p, size, ZERO), size) != NULL);
}

/* In place or not at all. */
VICTIM void victim_xallocx(size_t from, size_t to)
{
  void *p = shadow_add(mallocx_entry(from, 0), from);
  if (xallocx_entry(p, to, 0, 0) >= to) {
    shadow_remove(from);
    shadow_add(p, to);
  }
}

VICTIM void victim_failing(void)
{
  volatile size_t huge = PTRDIFF_MAX;
  void *p = shadow_add(mallocx_entry(200, 0), 200);
  REQUIRE(mallocx_entry(huge, 0) == NULL);
  REQUIRE(rallocx_entry(p, huge, 0) == NULL);
}

int main(void)
{
  if (!malloc_is_jemalloc()) {
    dprintf(STDOUT_FILENO, "no jemalloc\n");
    return 77;
  }
  mallocx_entry = (void *(*)(size_t, int))dlsym(RTLD_DEFAULT, "mallocx");
  rallocx_entry = (void *(*)(void *, size_t, int))dlsym(RTLD_DEFAULT, "rallocx");
  xallocx_entry = (size_t(*)(void *, size_t, size_t, int))dlsym(RTLD_DEFAULT, "xallocx");
  dallocx_entry = (void (*)(void *, int))dlsym(RTLD_DEFAULT, "dallocx");
  sdallocx_entry = (void (*)(void *, size_t, int))dlsym(RTLD_DEFAULT, "sdallocx");
  REQUIRE(mallocx_entry && rallocx_entry && xallocx_entry && dallocx_entry && sdallocx_entry);
  for (size_t size = 1; size < 1000000; size *= 3) {
    victim_mallocx(size);
    victim_rallocx(size);
    victim_xallocx(size, 40 * size);
  }
  victim_xallocx(97, 112); /* one size class: in place */
  victim_failing();
  shadow_print();
  return 0;
}
