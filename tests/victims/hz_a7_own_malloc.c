/* SPDX-License-Identifier: MIT */
/* Allocator row 7: a program that brings its own malloc: no request of it can be seen by a preloaded library, but at the entries of its
 * functions. With TABLE, free is one that jumps by an address, with LOOPS one that goes back to its first instructions. */
#include "hz_victim.h"

static char arena[1 << 22] __attribute__((aligned(16)));
static size_t used;
static long calls;

void *malloc(size_t size)
{
  size_t offset = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15, __ATOMIC_RELAXED);
  __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
  if (size > sizeof arena || offset + size + 16 > sizeof arena)
    return NULL;
  memcpy(arena + offset, &size, sizeof size);
  return arena + offset + 16;
}

#if defined TABLE
__asm__(".globl free\n.type free, @function\nfree:\n  lea 1f(%rip), %rax\n  nop\n  jmp *%rax\n1: ret\n.size free, . - "
        "free\n");
#elif defined LOOPS
__asm__(".globl free\n.type free, @function\nfree:\n  push $3\n  pop %rax\n1: sub $1, %eax\n  ja 1b\n  ret\n.size "
        "free, . - free\n");
#else
void free(void *p)
{
  REQUIRE(!p || ((char *)p >= arena && (char *)p < arena + sizeof arena));
}
#endif

void *calloc(size_t count, size_t size)
{
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
}

void *realloc(void *p, size_t size)
{
  size_t old = 0;
  void *q = malloc(size);
  if (p && q) {
    memcpy(&old, (char *)p - 16, sizeof old);
    memcpy(q, p, old < size ? old : size);
  }
  return q;
}

int main(void)
{
  hz_alarm(10);
  for (int i = 0; i < 1000; i++)
    hz_churn(i % 20, 100);
  char *copy = strdup("through libc");
  REQUIRE(copy >= arena && copy < arena + sizeof arena);
  free(copy);
  printf("ok, %s\n", calls >= 1001 ? "my malloc served" : "another malloc served");
  return 0;
}
