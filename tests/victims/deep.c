/* SPDX-License-Identifier: MIT */
/* deep DEPTH: allocates under that many frames of victim_recurse. */
#include "shadow.h"

VICTIM void victim_bottom(void)
{
  for (size_t i = 0; i < 10; i++)
    shadow_add(malloc(100), 100);
}

VICTIM void victim_recurse(unsigned long depth)
{
  if (depth > 1)
    victim_recurse(depth - 1);
  else
    victim_bottom();
  __asm__ volatile("" : : : "memory");
}

int main(int argc, char **argv)
{
  REQUIRE(argc > 1);
  victim_recurse(strtoul(argv[1], NULL, 10));
  shadow_print();
  return 0;
}
