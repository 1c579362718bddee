/* SPDX-License-Identifier: MIT */
/* P3: allocates, and executes itself with a clock that is an hour ahead; there it allocates again. */
#include "hz_victim.h"

int main(int argc, char **argv)
{
  void *volatile kept = malloc(16 << 20);
  REQUIRE(kept != NULL);
  if (argc == 1) {
    setenv("HZ_CLOCK", "3600", 1);
    execl(argv[0], argv[0], "second", (char *)NULL);
    return 1;
  }
  puts("ok");
  return 0;
}
