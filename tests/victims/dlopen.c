/* SPDX-License-Identifier: MIT */
/* dlopen LIBRARY [again]: loads a library that allocates, and unloads it while its objects live. again: a few times over. */
#include "shadow.h"

#include <dlfcn.h>

VICTIM void victim_use_plugin(void *(*allocate)(size_t))
{
  for (size_t i = 0; i < 20; i++)
    shadow_add(allocate(10 * i), 10 * i);
}

VICTIM void victim_after_unload(void)
{
  for (size_t i = 0; i < 20; i++)
    shadow_add(malloc(7 * i), 7 * i);
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  for (int times = argc > 2 ? 5 : 1; times > 0; times--) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    REQUIRE(library != NULL);
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, "victim_plugin_allocate");
    REQUIRE(allocate != NULL);
    victim_use_plugin(allocate);
    REQUIRE(dlclose(library) == 0);
    REQUIRE(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL); /* really gone */
  }
  victim_after_unload();
  shadow_print();
  return 0;
}
