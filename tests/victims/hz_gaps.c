/* SPDX-License-Identifier: MIT */
/* Code in two segments with nothing mapped between them: link with -Wl,--section-start=.far=0x900000. */
#include "hz_victim.h"

VICTIM __attribute__((section(".far"))) void *victim_far(size_t size)
{
  return shadow_add(malloc(size), size);
}

VICTIM void *victim_near(size_t size)
{
  void *result = victim_far(size);
  __asm__ volatile("" ::: "memory");
  return result;
}

int main(void)
{
  REQUIRE(victim_near(1000) != NULL);
  shadow_print();
  return 0;
}
