/* SPDX-License-Identifier: MIT */
/* everything [clean]: each C entry point with its corner cases. clean: frees all in the end, in-use must then be 0. What
 * realloc(p, 0) returns differs between allocators, and the count follows it; so does errno of a failure, which is printed. */
#include "providers.h"
#include "shadow.h"

#include <errno.h>
#include <string.h>

enum { MAX_KEPT = 4096 };

static struct {
  void *p;
  size_t size;
} kept[MAX_KEPT];
static size_t kept_count;

static void *keep(void *p, size_t size)
{
  REQUIRE(p != NULL && kept_count < MAX_KEPT);
  kept[kept_count].p = p;
  kept[kept_count].size = size;
  kept_count++;
  return p;
}

VICTIM void victim_malloc(size_t size)
{
  keep(shadow_add(malloc(size), size), size);
  free(shadow_add(malloc(size), size));
  shadow_remove(size);
}

VICTIM void victim_calloc(size_t count, size_t size)
{
  char *p = keep(shadow_add(calloc(count, size), count * size), count * size);
  for (size_t i = 0; i < count * size; i++)
    REQUIRE(p[i] == 0);
  memset(p, 'x', count * size);
}

VICTIM void victim_realloc(size_t from, size_t to)
{
  char *p = shadow_add(realloc(NULL, from), from);
  memset(p, 'r', from);
  shadow_remove(from);
  p = keep(shadow_add(realloc(p, to), to), to);
  for (size_t i = 0; i < from && i < to; i++)
    REQUIRE(p[i] == 'r');
}

VICTIM void victim_reallocarray(size_t count)
{
  void *p = shadow_add(reallocarray(NULL, count, 24), count * 24);
  shadow_remove(count * 24);
  keep(shadow_add(reallocarray(p, 2 * count, 24), 2 * count * 24), 2 * count * 24);
}

VICTIM void victim_realloc_to_zero(void)
{
  void *p = shadow_add(malloc(40), 40);
  p = realloc(p, 0);
  shadow_remove(40);
  if (p != NULL)
    keep(shadow_add(p, 0), 0);
}

static int failures[16], failure_count;

/* Each fails and leaves what it was given alive. */
VICTIM void victim_failures(void)
{
  volatile size_t most = SIZE_MAX, half = PTRDIFF_MAX, root = (size_t)1 << 33;
  char *p = keep(shadow_add(malloc(123), 123), 123);
  memset(p, 'f', 123);
#define FAILS(call)                                                                                                    \
  do {                                                                                                                 \
    errno = 0;                                                                                                         \
    REQUIRE((call) == NULL);                                                                                           \
    failures[failure_count++] = errno;                                                                                 \
  } while (0)
  FAILS(malloc(most));
  FAILS(malloc(half));
  FAILS(calloc(root, root));
  FAILS(calloc(most, 2));
  FAILS(calloc(1, half));
  FAILS(realloc(NULL, half));
  FAILS(realloc(p, most));
  FAILS(realloc(p, half));
  FAILS(reallocarray(p, root, root));
  FAILS(reallocarray(p, half, 1));
#undef FAILS
  for (size_t i = 0; i < 123; i++)
    REQUIRE(p[i] == 'f');
}

VICTIM void victim_frees(void)
{
  free(NULL);
  cfree_or_free(NULL);
  cfree_or_free(shadow_add(malloc(50), 50));
  shadow_remove(50);
  free_sized_or_free(shadow_add(malloc(60), 60), 60);
  shadow_remove(60);
  free_sized_or_free(NULL, 0);
}

VICTIM void victim_clean(void)
{
  for (size_t i = 0; i < kept_count; i++) {
    free(kept[i].p);
    shadow_remove(kept[i].size);
  }
}

int main(int argc, char **argv)
{
  (void)argv;
  find_optional_entry_points();
  for (size_t size = 0; size < 300000; size = size * 3 + 1) {
    victim_malloc(size);
    victim_calloc(size, 3);
    victim_realloc(size, size / 2 + 1);
    victim_realloc(size, size + 1); /* often in place */
    victim_realloc(size + 1, 20 * size + 1);
    victim_reallocarray(size + 1);
  }
  victim_calloc(0, 8);
  victim_calloc(8, 0);
  for (int i = 0; i < 10; i++)
    victim_realloc_to_zero();
  victim_failures();
  victim_frees();
  if (argc > 1)
    victim_clean();
  for (int i = 0; i < failure_count; i++)
    dprintf(STDOUT_FILENO, "failure %d: errno %d\n", i, failures[i]);
  shadow_print();
  return 0;
}
