/* SPDX-License-Identifier: MIT */
/* Keeps some of what it allocates, through a known chain of callers: main > victim_outer > victim_middle > victim_leaf.
 * One object is large enough to be sampled at any usual interval. */
#include "shadow.h"

#define LARGE_BYTES (64UL << 20)

VICTIM void *victim_leaf(size_t size)
{
  return shadow_add(malloc(size), size);
}

VICTIM void *victim_middle(size_t size)
{
  void *p = victim_leaf(size);
  __asm__ volatile("" : : : "memory"); /* so that the call above is not the last thing done here */
  return p;
}

VICTIM void victim_outer(void)
{
  for (size_t i = 0; i < 1000; i++) {
    void *p = victim_middle(i);
    if (i % 3 == 0) {
      free(p);
      shadow_remove(i);
    }
  }
}

VICTIM void victim_large(void)
{
  REQUIRE(shadow_add(malloc(LARGE_BYTES), LARGE_BYTES) != NULL);
}

int main(void)
{
  victim_outer();
  victim_large();
  shadow_print();
  return 7; /* not 0, so that a test sees the status pass through */
}
