/* SPDX-License-Identifier: MIT */
/* Every aligned entry point, each with several alignments, half of it kept. What is not aligned is only counted: mimalloc 2.0.9
 * misaligns some, and should be left to. */
#include "providers.h"
#include "shadow.h"

#include <errno.h>
#include <malloc.h>

static unsigned misaligned;

static void check_aligned(const void *p, size_t alignment)
{
  REQUIRE(p != NULL);
  misaligned += (uintptr_t)p % alignment != 0;
}

VICTIM void victim_posix_memalign(size_t alignment, size_t size)
{
  void *kept = NULL, *freed = NULL;
  REQUIRE(posix_memalign(&kept, alignment, size) == 0);
  shadow_add(kept, size);
  check_aligned(kept, alignment);
  REQUIRE(posix_memalign(&freed, alignment, size) == 0);
  shadow_add(freed, size);
  free(freed);
  shadow_remove(size);
}

VICTIM void victim_posix_memalign_failing(void)
{
  void *p = &p;
  volatile size_t huge = PTRDIFF_MAX, odd = 3;
  REQUIRE(posix_memalign(&p, odd, 100) == EINVAL);
  REQUIRE(posix_memalign(&p, 4096, huge) == ENOMEM);
  REQUIRE(p == &p); /* left alone */
}

VICTIM void victim_aligned_alloc(size_t alignment, size_t size)
{
  check_aligned(shadow_add(aligned_alloc(alignment, size), size), alignment);
  void *p = shadow_add(aligned_alloc(alignment, size), size);
  free_aligned_sized_or_free(p, alignment, size);
  shadow_remove(size);
}

VICTIM void victim_memalign(size_t alignment, size_t size)
{
  check_aligned(shadow_add(memalign(alignment, size), size), alignment);
  free(shadow_add(memalign(alignment, size), size));
  shadow_remove(size);
}

VICTIM void victim_valloc(size_t size)
{
  check_aligned(shadow_add(valloc(size), size), 4096);
  free(shadow_add(valloc(size), size));
  shadow_remove(size);
}

VICTIM void victim_pvalloc(size_t size)
{
  check_aligned(shadow_add(pvalloc(size), size), 4096);
  free(shadow_add(pvalloc(size), size));
  shadow_remove(size);
}

/* realloc of an aligned block: an allocation like any other. */
VICTIM void victim_realloc_aligned(size_t size)
{
  void *p = shadow_add(aligned_alloc(64, size), size);
  shadow_remove(size);
  REQUIRE(shadow_add(realloc(p, 3 * size), 3 * size) != NULL);
}

int main(void)
{
  find_optional_entry_points();
  for (size_t alignment = sizeof(void *); alignment <= 65536; alignment *= 2) {
    victim_posix_memalign(alignment, 10 * alignment);
    victim_aligned_alloc(alignment, 2 * alignment);
    victim_memalign(alignment, alignment + 1);
  }
  victim_posix_memalign_failing();
  for (size_t size = 1; size < 20000; size *= 7) {
    victim_valloc(size);
    if (malloc_has_pvalloc())
      victim_pvalloc(size);
    victim_realloc_aligned(size);
  }
  dprintf(STDOUT_FILENO, "misaligned %u\n", misaligned);
  shadow_print();
  return 0;
}
