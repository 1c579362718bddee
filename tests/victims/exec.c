/* SPDX-License-Identifier: MIT */
/* exec [dump]: allocates, writes a profile if asked to, and becomes itself again with other allocations. */
#include "heapprof.h"
#include "shadow.h"

#include <string.h>

VICTIM void victim_first_image(void)
{
  for (size_t i = 0; i < 10; i++)
    shadow_add(malloc(100), 100);
}

VICTIM void victim_second_image(void)
{
  for (size_t i = 0; i < 20; i++)
    shadow_add(malloc(300), 300);
}

int main(int argc, char **argv)
{
  if (argc > 1 && strcmp(argv[1], "second") == 0) {
    victim_second_image();
    shadow_print();
    return 0;
  }
  victim_first_image();
  if (argc > 1)
    REQUIRE(heapprof_dump == NULL || heapprof_dump(NULL) == 0);
  execl("/proc/self/exe", argv[0], "second", (char *)NULL);
  return 98;
}
