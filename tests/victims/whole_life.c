/* SPDX-License-Identifier: MIT */
/* Allocates from its first constructor to its last destructor, and in a library's functions that it does not call itself. */
#include "shadow.h"

#include <string.h>

static void *kept[4];

VICTIM void victim_constructor(void)
{
  kept[0] = shadow_add(malloc(100), 100);
}

VICTIM void victim_main(void)
{
  kept[1] = shadow_add(malloc(200), 200);
  kept[2] = shadow_add(strdup("12345678"), 9);
}

VICTIM void victim_destructor(void)
{
  kept[3] = shadow_add(malloc(300), 300);
  free(kept[0]);
  shadow_remove(100);
}

__attribute__((constructor(102))) static void begin(void)
{
  victim_constructor();
}

/* Of those with a priority the lowest is the last, but for the library's. */
__attribute__((destructor(102))) static void end(void)
{
  victim_destructor();
  shadow_print();
}

int main(void)
{
  victim_main();
  return 0;
}
