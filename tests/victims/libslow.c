/* SPDX-License-Identifier: MIT */
/* A library whose constructor waits for a line. */
#include <unistd.h>

__attribute__((constructor)) static void start(void)
{
  char byte;
  if (write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1)
    _exit(7);
}
