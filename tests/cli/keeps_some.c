/* SPDX-License-Identifier: MIT */
/* Grows to its end: of 32 MiB in blocks of 1 KiB it keeps each fourth one, 8 MiB; the others pass by. */
#include <stdlib.h>

enum { BLOCK_BYTES = 1 << 10, BLOCKS = 32 << 10 };

static void *kept[BLOCKS / 4];

__attribute__((noinline)) static void *keep(void)
{
  return malloc(BLOCK_BYTES);
}

__attribute__((noinline)) static void forget(void)
{
  void *volatile block = malloc(BLOCK_BYTES);
  free(block);
}

int main(void)
{
  for (int i = 0; i < BLOCKS; i++)
    if (i % 4 == 0)
      kept[i / 4] = keep();
    else
      forget();
  return kept[0] == NULL;
}
