/* SPDX-License-Identifier: MIT */
/* G1: installs its handler over whatever is there. */
#include <signal.h>
static void dump(int number)
{
  (void)number;
}
#define MINI_ON_LOAD signal(SIGUSR2, dump)
#include "mini_shim.h"
