/* SPDX-License-Identifier: MIT */
/* pair COUNT: that many pairs of malloc(64) and free, for counting instructions. */
#include <stdlib.h>

int main(int argc, char **argv)
{
  for (unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0; count > 0; count--) {
    void *p = malloc(64);
    __asm__ volatile("" : "+r"(p) : : "memory");
    free(p);
  }
  return 0;
}
