/* SPDX-License-Identifier: MIT */
/* Memory that malloc knows nothing of, as of an allocator that is linked under names of its own: megabytes of it (the argument), then
 * so many by malloc. */
#include "hz_victim.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
  size_t own = (size_t)hz_argument(argc, argv, 1, 100) << 20, usual = (size_t)hz_argument(argc, argv, 2, 0) << 20;
  char *arena = mmap(NULL, own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(arena != MAP_FAILED);
  memset(arena, 1, own);
  if (usual > 0) {
    char *p = malloc(usual);
    REQUIRE(p != NULL);
    memset(p, 1, usual);
    REQUIRE(write(1, p, 1) == 1); /* so that it is used */
  }
  return 0;
}
