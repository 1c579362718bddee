/* SPDX-License-Identifier: MIT */
/* U4: many libraries, each allocating from a function of its own name. With -DINNER=name, such a library.
 *
 * Arguments: "one" (each is unloaded before the next one comes) or "all" (none is), how many rounds, the libraries, to be taken in
 * turn. After every seventh unloading the place stays taken, so that the next one lies elsewhere; at last, code of no file lies where
 * the first one lay, and allocates. */
#ifdef INNER
#include <stddef.h>

void *INNER(size_t size, void *(*get)(size_t));
void *make(size_t size, void *(*get)(size_t));

__attribute__((noinline)) void *INNER(size_t size, void *(*get)(size_t))
{
  void *p = get(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

__attribute__((noinline)) void *make(size_t size, void *(*get)(size_t))
{
  void *p = INNER(size, get);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}
#else
#include "hz_victim.h"
#include <dlfcn.h>
#include <sys/mman.h>

enum { SIZE = 1000, FOREIGN_SIZE = 2000, PAGE = 4096, SEVENTH = 7 };
typedef void *make_function(size_t, void *(*)(size_t));

__attribute__((noinline)) static void use(make_function *make, size_t size)
{
  REQUIRE(make(size, malloc) != NULL);
  __asm__ volatile("" : : : "memory");
}

/* push %rbp; mov %rsp, %rbp; call *%rsi; pop %rbp; ret, where a function was. */
__attribute__((noinline)) static void use_foreign(make_function *old)
{
  static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3};
  char *page = (char *)((uintptr_t)old & ~(uintptr_t)(PAGE - 1));
  REQUIRE(mmap(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
  memcpy((void *)old, code, sizeof code);
  use(old, FOREIGN_SIZE);
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 3);
  bool all = strcmp(argv[1], "all") == 0;
  int count = argc - 3;
  make_function *make = NULL, *first = NULL;
  for (long i = 0, rounds = atol(argv[2]); i < rounds; i++) {
    void *handle = dlopen(argv[3 + i % count], RTLD_NOW);
    REQUIRE(handle != NULL && (make = (make_function *)dlsym(handle, "make")) != NULL);
    use(make, SIZE);
    first = i == 0 ? make : first;
    REQUIRE(all || dlclose(handle) == 0);
    if (!all && i % SEVENTH == 0 && i + 1 < rounds)
      (void)mmap((void *)((uintptr_t)make & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  }
  if (!all)
    use_foreign(first);
  puts("ok");
  return 0;
}
#endif
