/* SPDX-License-Identifier: MIT */
/* E8: to be preloaded after the profiler: its constructor, which runs first, changes a byte behind the program's free, as a debugger
 * or a probe of the kernel does it, which takes it back later. Functions lie a page apart. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, BEHIND = 4000 };

__attribute__((constructor)) static void change(void)
{
  uint8_t *page = (uint8_t *)((uintptr_t)free & ~(uintptr_t)(PAGE - 1));
  if (mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
    abort();
  page[BEHIND] = 0xcc;
  if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0)
    abort();
}
