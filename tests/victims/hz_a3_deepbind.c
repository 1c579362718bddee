/* SPDX-License-Identifier: MIT */
/* A3: opens a plug-in with RTLD_DEEPBIND, lets it free what the program made, the program free what it made, and keeps some.
 * Arguments: the plug-in, now or lazy, and how often; with "own" the plug-in has an allocator of its own. */
#include "hz_victim.h"

#include <dlfcn.h>

enum { OBJECTS = 500 };

static void *(*plugin_make)(size_t size, int way);
static void (*plugin_release)(void *pointer, int way);

VICTIM static void victim_gives(void)
{
  void *made[OBJECTS];
  for (int i = 0; i < OBJECTS; i++)
    REQUIRE((made[i] = shadow_add(malloc(1000), 1000)) != NULL);
  for (int i = 0; i < OBJECTS; i++) {
    plugin_release(made[i], i);
    shadow_remove(1000);
  }
}

VICTIM static void victim_takes(int kept)
{
  void *made[OBJECTS];
  for (int i = 0; i < OBJECTS; i++)
    REQUIRE((made[i] = shadow_add(plugin_make(2048, i), 2048)) != NULL);
  for (int i = kept; i < OBJECTS; i++) {
    free(made[i]);
    shadow_remove(2048);
  }
}

VICTIM static void victim_own(int (*count)(void))
{
  void *made[OBJECTS];
  int before = count();
  for (int i = 0; i < OBJECTS; i++)
    REQUIRE((made[i] = plugin_make(2048, i)) != NULL);
  REQUIRE(count() == before + OBJECTS);
  for (int i = 0; i < OBJECTS; i++)
    plugin_release(made[i], i);
  REQUIRE(count() == before);
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 3);
  int mode = strcmp(argv[2], "lazy") == 0 ? RTLD_LAZY : RTLD_NOW;
  for (int i = 0; i < atoi(argv[3]); i++) {
    void *plugin = dlopen(argv[1], mode | RTLD_LOCAL | RTLD_DEEPBIND);
    REQUIRE(plugin != NULL);
    void *volatile first = malloc(1); /* a profiler may have waited for this */
    free(first);
    *(void **)&plugin_make = dlsym(plugin, "plugin_make");
    *(void **)&plugin_release = dlsym(plugin, "plugin_release");
    if (argc > 4) {
      victim_own(*(int (**)(void))dlsym(plugin, "plugin_count"));
    } else {
      victim_gives();
      victim_takes(100);
    }
    REQUIRE(dlclose(plugin) == 0);
  }
  if (argc <= 4)
    shadow_print();
  return 0;
}
