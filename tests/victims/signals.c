/* SPDX-License-Identifier: MIT */
/* signals [own|ignore|block]: reads orders from standard input, one per line, while signals come in.
 *   work     allocates some, keeps half, says "done"
 *   unblock  ends block
 *   end      says how often its own handler ran, and returns */
#include "orders.h"
#include "shadow.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t handled;

static void handle(int number)
{
  (void)number;
  handled++;
}

VICTIM void victim_work(void)
{
  for (size_t i = 0; i < 100; i++) {
    shadow_add(malloc(10 * i), 10 * i);
    free(shadow_add(malloc(5 * i), 5 * i));
    shadow_remove(5 * i);
  }
}

int main(int argc, char **argv)
{
  const char *variant = argc > 1 ? argv[1] : "";
  sigset_t usr2;
  sigemptyset(&usr2);
  sigaddset(&usr2, SIGUSR2);
  if (strcmp(variant, "own") == 0)
    signal(SIGUSR2, handle);
  else if (strcmp(variant, "ignore") == 0)
    signal(SIGUSR2, SIG_IGN);
  else if (strcmp(variant, "block") == 0)
    sigprocmask(SIG_BLOCK, &usr2, NULL);
  dprintf(STDOUT_FILENO, "ready\n");
  char order[32];
  while (read_order(order, sizeof order) && strcmp(order, "end") != 0) {
    if (strcmp(order, "work") == 0)
      victim_work();
    else if (strcmp(order, "unblock") == 0)
      sigprocmask(SIG_UNBLOCK, &usr2, NULL);
    dprintf(STDOUT_FILENO, "done\n");
  }
  shadow_print();
  dprintf(STDOUT_FILENO, "handled %d\n", (int)handled);
  return 0;
}
