/* SPDX-License-Identifier: MIT */
/* A4: a C program opens C++ plug-ins, each with a C++ runtime of its own (RTLD_LOCAL), and lets them run out of memory. */
#include "hz_victim.h"

#include <dlfcn.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
  hz_alarm(20);
  struct rlimit limit = {1ul << 30, 1ul << 30};
  int (*tries[8])(void);
  for (int i = 1; i < argc; i++) {
    void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL)
      puts(dlerror());
    REQUIRE(plugin != NULL && i < 8);
    *(void **)&tries[i] = dlsym(plugin, "plugin_try");
    printf("caught: %d\n", tries[i]());
  }
  REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0); /* and again when there is no memory at all */
  for (size_t size = 64 << 20; size >= 1024; size /= 2)
    while (malloc(size) != NULL)
      continue;
  for (int i = 1; i < argc; i++)
    REQUIRE(tries[i]() != 0);
  return 0;
}
