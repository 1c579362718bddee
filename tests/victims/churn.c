/* SPDX-License-Identifier: MIT */
/* Allocates, resizes and frees at random in a few hundred slots; the last round leaves them as they are. */
#include "shadow.h"

#include <string.h>

enum { SLOTS = 512, STEPS = 200000 };

static struct {
  char *p;
  size_t size;
} slots[SLOTS];

VICTIM void victim_allocate(unsigned slot, size_t size)
{
  slots[slot].p = shadow_add(malloc(size), size);
  slots[slot].size = size;
  memset(slots[slot].p, (int)slot, size);
}

VICTIM void victim_resize(unsigned slot, size_t size)
{
  shadow_remove(slots[slot].size);
  slots[slot].p = shadow_add(realloc(slots[slot].p, size), size);
  if (size > slots[slot].size)
    memset(slots[slot].p + slots[slot].size, (int)slot, size - slots[slot].size);
  slots[slot].size = size;
}

VICTIM void victim_release(unsigned slot)
{
  for (size_t i = 0; i < slots[slot].size; i++)
    REQUIRE(slots[slot].p[i] == (char)slot);
  free(slots[slot].p);
  shadow_remove(slots[slot].size);
  slots[slot].p = NULL;
}

int main(void)
{
  unsigned long random = 1;
  for (int step = 0; step < STEPS; step++) {
    unsigned slot = shadow_random(&random) % SLOTS;
    size_t size = 1 + shadow_random(&random) % (shadow_random(&random) % 64 == 0 ? 40000 : 400);
    if (slots[slot].p == NULL)
      victim_allocate(slot, size);
    else if (size % 4 == 0)
      victim_resize(slot, size);
    else
      victim_release(slot);
  }
  shadow_print();
  return 0;
}
