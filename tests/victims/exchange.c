/* SPDX-License-Identifier: MIT */
/* exchange BLOCK_BYTES TIMES [keep]: holds 32 MiB in blocks of that size, exchanges one after the other for another, and frees or keeps
 * all. */
#include <stdlib.h>

enum { HELD_BYTES = 32 << 20, BLOCKS_MAX = 1 << 13 };

static void *blocks[BLOCKS_MAX];

int main(int argc, char **argv)
{
  size_t size = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
  unsigned long times = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, next = 1;
  if (size < HELD_BYTES / BLOCKS_MAX)
    return EXIT_FAILURE;
  size_t count = HELD_BYTES / size;
  for (size_t i = 0; i < count; i++)
    blocks[i] = malloc(size);
  while (times-- > 0) {
    next = next * 6364136223846793005u + 1442695040888963407u;
    size_t i = (next >> 33) % count;
    free(blocks[i]);
    blocks[i] = malloc(size);
  }
  for (size_t i = 0; argc == 3 && i < count; i++)
    free(blocks[i]);
  return EXIT_SUCCESS;
}
