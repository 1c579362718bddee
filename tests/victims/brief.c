/* SPDX-License-Identifier: MIT */
/* Ends soon after it began, as a compiler's driver does: a few dozen stacks through code that is scattered over two MiB. */
#include <stdlib.h>

enum { PLACES = 8, STACKS = 40, BYTES = 64 << 10 };

typedef void way(unsigned left);
static way *const ways[PLACES];

#define PLACE(number)                                                                                                  \
  __attribute__((noinline, aligned(1 << 18))) static void go_##number(unsigned left)                                   \
  {                                                                                                                    \
    void *volatile block = NULL;                                                                                       \
    if (left < PLACES)                                                                                                 \
      block = malloc(BYTES);                                                                                           \
    else                                                                                                               \
      ways[left % PLACES](left / PLACES);                                                                              \
    free(block);                                                                                                       \
  }

PLACE(0)
PLACE(1)
PLACE(2)
PLACE(3)
PLACE(4)
PLACE(5)
PLACE(6)
PLACE(7)

static way *const ways[PLACES] = {go_0, go_1, go_2, go_3, go_4, go_5, go_6, go_7};

int main(void)
{
  for (unsigned stack = 0; stack < STACKS; stack++)
    ways[stack % PLACES](PLACES * PLACES + stack * 7 % (PLACES * PLACES));
  return 0;
}
