/* SPDX-License-Identifier: MIT */
/* A program and its library, whose files make way for others while they run. With -DLIB the library; with -DNEW those that come
 * after, whose functions lie where the old ones lay. Argument: the library. Says "ready", allocates when told to. */
#include <stddef.h>
#ifdef LIB
#ifdef NEW
#define MAKE new_make
#else
#define MAKE old_make
#endif
void *MAKE(size_t size, void *(*get)(size_t));
void *make(size_t size, void *(*get)(size_t));

__attribute__((noinline)) void *MAKE(size_t size, void *(*get)(size_t))
{
  void *p = get(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

__attribute__((noinline)) void *make(size_t size, void *(*get)(size_t))
{
  void *p = MAKE(size, get);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}
#else
#include "hz_victim.h"
#include <dlfcn.h>

typedef void *make_function(size_t, void *(*)(size_t));
#ifdef NEW
#define USE new_use
#else
#define USE old_use
#endif

__attribute__((noinline)) static void USE(make_function *make)
{
  for (int i = 0; i < 10; i++)
    REQUIRE(make(1000, malloc) != NULL);
  __asm__ volatile("" : : : "memory");
}

int main(int argc, char **argv)
{
  char line[16];
  REQUIRE(argc == 2);
  void *handle = dlopen(argv[1], RTLD_NOW);
  make_function *make = handle != NULL ? (make_function *)dlsym(handle, "make") : NULL;
  REQUIRE(make != NULL);
  USE(make);
  puts("ready");
  fflush(stdout);
  REQUIRE(fgets(line, sizeof line, stdin) != NULL);
  USE(make);
  return 0;
}
#endif
