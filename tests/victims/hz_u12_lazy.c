/* SPDX-License-Identifier: MIT */
/* U12: allocates where a function is bound when it is called first, by the code that chooses it: between that and main lies a frame of the
 * loader that has its caller's in rbx. */
#include "hz_victim.h"

extern size_t lazy_choice_bytes;
extern void *volatile lazy_kept;
int lazy_enter(void);

VICTIM void victim_bind(void)
{
  (void)lazy_enter();
  __asm__ volatile("" ::: "memory");
}

int main(void)
{
  lazy_choice_bytes = 3000000;
  victim_bind();
  REQUIRE(lazy_kept != NULL);
  free(lazy_kept);
  puts("ok");
  return 0;
}
