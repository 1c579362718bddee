/* SPDX-License-Identifier: MIT */
/* G1: keeps the signal for itself, when the application wants it. */
#include <signal.h>
static void dump(int number)
{
  (void)number;
}
#define MINI_ON_LOAD (signal)(SIGUSR2, dump)
#include "mini_shim.h"
void (*signal(int number, void (*handler)(int)))(int)
{
  struct sigaction action = {.sa_handler = number == SIGUSR2 ? dump : handler, .sa_flags = SA_RESTART}, old;
  return sigaction(number, &action, &old) ? SIG_ERR : old.sa_handler;
}
