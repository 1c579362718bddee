/* SPDX-License-Identifier: MIT */
/* U4: two libraries that put different frame layouts at the same pc, loaded in turn at one address, each allocating from
 * deep frames. Arguments: the two libraries, number of rounds. Exit status 77: not the same address. */
#include "hz_victim.h"
#include <dlfcn.h>
#include <sys/mman.h>

static void *(*deep)(int, void *(*)(size_t));

static void *call(int depth)
{
  return deep(depth, malloc);
}

static void *run(void *argument)
{
  char **argv = argument;
  uintptr_t where[2] = {0, 0};
  for (long i = 0, rounds = atol(argv[3]); i < rounds; i++) {
    void *handle = dlopen(argv[1 + i % 2], RTLD_NOW);
    REQUIRE(handle != NULL);
    *(void **)&deep = dlsym(handle, "hz_plugin_deep");
    where[i % 2] = (uintptr_t)deep;
    for (int depth = 0; depth < 5; depth++) {
      void *p = call((depth + i) % 5);
      REQUIRE(p != NULL);
      free(p);
    }
    REQUIRE(dlclose(handle) == 0);
  }
  return (void *)(intptr_t)(where[0] == where[1]);
}

/* One thread, near the end of its stack, with nothing readable behind: a layout too large leads there. */
int main(int argc, char **argv)
{
  enum { STACK = 1 << 20 };
  pthread_attr_t attributes;
  pthread_t thread;
  void *same;
  REQUIRE(argc > 3);
  hz_alarm(60);
  char *pages = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(pages != MAP_FAILED && mprotect(pages + STACK, STACK, PROT_NONE) == 0);
  REQUIRE(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, pages, STACK) == 0);
  REQUIRE(pthread_create(&thread, &attributes, run, argv) == 0 && pthread_join(thread, &same) == 0);
  if (!same)
    return 77;
  puts("ok");
  return 0;
}
