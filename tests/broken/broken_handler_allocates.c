/* SPDX-License-Identifier: MIT */
/* G4: a dump in the handler that allocates and uses stdio. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static void dump(int number)
{
  FILE *file = fopen("/dev/null", "w");
  if (file) {
    fprintf(file, "%d\n", number);
    fclose(file);
  }
}
#define MINI_ON_LOAD signal(SIGUSR2, dump)
#include "mini_shim.h"
