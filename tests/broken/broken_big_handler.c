/* SPDX-License-Identifier: MIT */
/* G2: a handler that does all its work on the stack it is called on. */
#include <signal.h>
#include <stddef.h>
static void dump(int number)
{
  volatile char work[16384];
  for (size_t i = 0; i < sizeof work; i += 1024)
    work[i] = (char)number;
}
static void install(void)
{
  struct sigaction action = {.sa_handler = dump, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigaction(SIGUSR2, &action, NULL);
}
#define MINI_ON_LOAD install()
#include "mini_shim.h"
