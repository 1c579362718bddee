/* SPDX-License-Identifier: MIT */
/* Allocator row 6: what the calls promise at their edges. Prints results, errno and the vector registers that a call
 * changed, to be compared with the same allocator alone. */
#include "hz_victim.h"
#include <malloc.h>

/* Sets every bit of xmm0 to xmm15, calls function(argument), and stores them. */
void *hz_call_marked(void *(*function)(uintptr_t), uintptr_t argument, unsigned char after[16][16]);
__asm__(".text\n.globl hz_call_marked\n.type hz_call_marked,@function\nhz_call_marked:\n.cfi_startproc\n"
        "push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset rbx,-16\nmov %rdx,%rbx\nmov %rdi,%rax\nmov %rsi,%rdi\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\npcmpeqd %xmm\\n,%xmm\\n\n.endr\n"
        "call *%rax\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\nmovdqu %xmm\\n,16*\\n(%rbx)\n.endr\n"
        "pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n.cfi_endproc\n.size hz_call_marked,.-hz_call_marked\n");

static unsigned changed(void *(*function)(uintptr_t), uintptr_t argument, void **result)
{
  unsigned char after[16][16];
  unsigned mask = 0;
  *result = hz_call_marked(function, argument, after);
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      mask |= (after[i][k] != 0xff) << i;
  return mask;
}

static void vector_registers(void)
{
  unsigned by_malloc = 0, by_free = 0;
  void *p, *none;
  for (int i = 0; i < 1100; i++) {
    unsigned m = changed((void *(*)(uintptr_t))(void *)malloc, 64, &p);
    unsigned f = changed((void *(*)(uintptr_t))(void *)free, (uintptr_t)p, &none);
    if (i >= 100) { /* warm */
      by_malloc |= m;
      by_free |= f;
    }
  }
  printf("vector registers changed by malloc %#x, by free %#x\n", by_malloc, by_free);
}

/* With errno seen after, and what was returned if it is no address. */
#define SHOW(call)                                                                                                     \
  do {                                                                                                                 \
    errno = 77;                                                                                                        \
    uintptr_t result = (uintptr_t)(call);                                                                              \
    printf("%s: %s %d\n", #call, result > 4096 ? "address" : result ? "number" : "0", errno);                          \
  } while (0)

int main(void)
{
  static char *p;
  static void *q = &p;
  volatile size_t all = SIZE_MAX, most = PTRDIFF_MAX, half = SIZE_MAX / 2 + 1, three = 3;
  hz_alarm(20);
  free(malloc(1)); /* the first call may look for settings, and change errno */
  SHOW(malloc(0));
  SHOW(p = malloc(100));
  SHOW((free(p), 0));
  SHOW((free(NULL), 0));
  SHOW(malloc(all));
  SHOW(malloc(most));
  SHOW(calloc(half, 2));
  SHOW(calloc(all, all));
  SHOW(calloc(0, 5));
  SHOW(realloc(NULL, all));
  SHOW(p = realloc(NULL, 100));
  SHOW(realloc(p, all));
  SHOW(reallocarray(p, half, 2));
  SHOW(p = realloc(p, 100000));
  SHOW((free(p), 0));
  SHOW(posix_memalign(&q, three, 100));
  SHOW(q == &p);
  SHOW(posix_memalign(&q, 4096, all - 8192));
  SHOW(q == &p);
  SHOW(posix_memalign(&q, 4096, 100));
  SHOW((uintptr_t)q % 4096 == 0);
  SHOW(aligned_alloc(64, most));
  SHOW(memalign(64, most));
  SHOW(valloc(most));
  SHOW(pvalloc(all));
  SHOW(p = malloc(1 << 20));
  SHOW(malloc_usable_size(p) >= 1 << 20);
  SHOW((free(p), 0));
  for (size_t size = 1; size < 70000; size = size * 5 / 3 + 1) {
    memset(p = malloc(size), 0xff, size);
    REQUIRE((uintptr_t)p % (size < 16 ? 8 : 16) == 0);
    free(p);
    p = calloc(size, 1);
    for (size_t i = 0; i < size; i++)
      REQUIRE(p[i] == 0);
    free(p);
  }
  vector_registers();
  return 0;
}
