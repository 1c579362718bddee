/* SPDX-License-Identifier: MIT */
/* A3: opens a plug-in (hz_a3_deep_plugin.c) in a namespace of its own, twice, and lets it allocate there; then one that is not there. */
#include "hz_victim.h"

#include <dlfcn.h>

VICTIM static void victim_apart(void *plugin)
{
  void *(*make)(size_t size, int way);
  void (*release)(void *pointer, int way);
  *(void **)&make = dlsym(plugin, "plugin_make");
  *(void **)&release = dlsym(plugin, "plugin_release");
  REQUIRE(make != NULL && release != NULL);
  for (int i = 0; i < 100; i++) {
    void *made = make(2048, i);
    REQUIRE(made != NULL);
    release(made, i);
  }
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  for (int i = 0; i < 2; i++) {
    void *plugin = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL);
    REQUIRE(plugin != NULL);
    victim_apart(plugin);
    REQUIRE(dlclose(plugin) == 0);
  }
  void *own = dlmopen(LM_ID_BASE, "libm.so.6", RTLD_NOW);
  REQUIRE(own != NULL);
  REQUIRE(dlmopen(LM_ID_NEWLM, "/nowhere/libmissing.so", RTLD_NOW) == NULL && dlerror() != NULL);
  shadow_add(malloc(1000), 1000);
  shadow_print();
  return 0;
}
