/* SPDX-License-Identifier: MIT */
/* frees [KEPT]: holds 16 MiB of load and 48 of build_index, frees both, keeps KEPT bytes. With "wait" behind, says "freed" and goes on
 * when it may read a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile last;

#define ALLOCATOR(name)                                                                                                \
  __attribute__((noinline)) static char *name(size_t bytes)                                                            \
  {                                                                                                                    \
    last = memset(malloc(bytes), 1, bytes);                                                                            \
    return last;                                                                                                       \
  }
ALLOCATOR(load)
ALLOCATOR(build_index)
ALLOCATOR(keep)

int main(int count, char **arguments)
{
  static char input[16], output[4096];
  setvbuf(stdin, input, _IOFBF, sizeof input);
  setvbuf(stdout, output, _IOLBF, sizeof output);
  char *loaded = load(16 << 20), *index = build_index(48 << 20);
  free(index);
  free(loaded);
  if (count > 1 && atol(arguments[1]) > 0)
    keep((size_t)atol(arguments[1]));
  if (count > 2 && strcmp(arguments[2], "wait") == 0) {
    puts("freed");
    (void)!getchar();
  }
  return 0;
}
