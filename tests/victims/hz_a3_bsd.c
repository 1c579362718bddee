/* SPDX-License-Identifier: MIT */
/* A3: what the BSDs have beside malloc, and mimalloc too: vfree, reallocf, reallocarr. A program that looks for them may find ours. */
#include "hz_victim.h"

#include <dlfcn.h>

static void (*free_it)(void *pointer);
static void *(*resize)(void *pointer, size_t size);
static int (*resize_array)(void *place, size_t count, size_t size);

static size_t moved(size_t from, size_t to)
{
  shadow_remove(from);
  return to;
}

VICTIM static void victim_resize(size_t size)
{
  void *p = shadow_add(malloc(size), size);
  p = shadow_add(resize(p, 2 * size), moved(size, 2 * size));
  REQUIRE(p != NULL && resize_array(&p, 3, size) == 0);
  p = shadow_add(p, moved(2 * size, 3 * size));
  free_it(p);
  shadow_remove(3 * size);
  void *kept = NULL;
  REQUIRE(resize_array(&kept, 5, size) == 0);
  shadow_add(kept, 5 * size);
  void *before = kept;
  volatile size_t many = SIZE_MAX / 2;
  REQUIRE(resize_array(&kept, many, 3) != 0 && kept == before);
  REQUIRE((kept = resize(kept, 7 * size)) != NULL);
  shadow_add(kept, moved(5 * size, 7 * size));
}

int main(void)
{
  *(void **)&free_it = dlsym(RTLD_DEFAULT, "vfree");
  *(void **)&resize = dlsym(RTLD_DEFAULT, "reallocf");
  *(void **)&resize_array = dlsym(RTLD_DEFAULT, "reallocarr");
  REQUIRE(free_it != NULL && resize != NULL && resize_array != NULL);
  for (size_t i = 1; i < 100; i++)
    victim_resize(16 * i);
  shadow_print();
  return 0;
}
