/* SPDX-License-Identifier: MIT */
/* A10: mapping from the resolver of an indirect function, when it is relocated, before us. -DLIBRARY: the
 * library. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

extern int how_it_went(void);

#ifdef LIBRARY

enum { PAGE_BYTES = 4096, USABLE = PROT_READ | PROT_WRITE, OWN = MAP_PRIVATE | MAP_ANONYMOUS };

static int all_right(void)
{
  return 0;
}

static int wrong(void)
{
  return 1;
}

static int is_right(void)
{
  void *mapped = mmap(NULL, PAGE_BYTES, USABLE, OWN, -1, 0);
  if (mapped == MAP_FAILED || munmap(mapped, PAGE_BYTES) != 0)
    return 0;
  /* No length, and no start of a page: refused. */
  return mmap(NULL, 0, USABLE, OWN, -1, 0) == MAP_FAILED && munmap((void *)1, PAGE_BYTES) == -1 &&
         sbrk(0) != (void *)-1;
}

static int (*resolve(void))(void)
{
  return is_right() ? all_right : wrong;
}

static int indirect(void) __attribute__((ifunc("resolve")));

/* An address that is written when the library is relocated. */
int (*volatile chosen)(void) = indirect;

int how_it_went(void)
{
  return chosen();
}

#else

int main(void)
{
  puts(how_it_went() == 0 ? "as ever" : "otherwise");
  return 0;
}

#endif
