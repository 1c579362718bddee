/* SPDX-License-Identifier: MIT */
/* Allocator row 2: reallocs that fail, that ask for nothing, that move and that stay. Half of the blocks remain. */
#include "hz_victim.h"

static void *expect(void *p, size_t size)
{
  REQUIRE(shadow_add(p, size) != NULL);
  return p;
}

/* Sizes at both ends of what wraps in a count of bytes: none may disturb what is counted after it. */
static void be_refused(void)
{
  static const volatile size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
                                          (size_t)3 << 62};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    REQUIRE(malloc(sizes[i]) == NULL && calloc(1, sizes[i]) == NULL && realloc(NULL, sizes[i]) == NULL);
}

static void *work(void *unused)
{
  for (int i = 0; i < 200; i++) {
    volatile size_t impossible = (size_t)PTRDIFF_MAX - 4096, half = SIZE_MAX / 2;
    char *p = expect(malloc(100 + i), 100 + i);
    memset(p, i, 100);
    REQUIRE(realloc(p, impossible) == NULL && p[99] == (char)i);
    REQUIRE(reallocarray(p, half, 4) == NULL && p[99] == (char)i);
    size_t size = 100 + i;
    for (size_t next = 16; next < (i % 50 ? 5000 : 2000000); next = next * 3 / 2) {
      p = expect(realloc(p, next), next);
      shadow_remove(size);
      size = next;
    }
    if (i % 4 == 0) { /* NULL: it is free. Otherwise a block of no bytes. */
      p = realloc(p, 0);
      shadow_remove(size);
      shadow_add(p, size = 0);
    }
    if (p && i % 2) {
      free(p);
      shadow_remove(size);
    } else if (p) {
      REQUIRE(realloc(p, impossible) == NULL);
    }
    be_refused();
    p = expect(realloc(NULL, i), i);
    p = expect(reallocarray(p, 3, 50), 150);
    shadow_remove(i);
    free(p);
    shadow_remove(150);
  }
  return unused;
}

int main(void)
{
  hz_alarm(20);
  victim_counted(work, NULL);
  hz_report();
  return 0;
}
