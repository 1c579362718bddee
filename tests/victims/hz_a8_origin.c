/* SPDX-License-Identifier: MIT */
/* Allocator row 8: dlopen by name of a library that only this program's RUNPATH ($ORIGIN) leads to. */
#include "hz_victim.h"
#include <dlfcn.h>

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  void *handle = dlopen(argv[1], RTLD_NOW);
  if (!handle)
    fprintf(stderr, "%s\n", dlerror());
  REQUIRE(handle != NULL && dlclose(handle) == 0);
  puts("ok");
  return 0;
}
