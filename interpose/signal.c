/* SPDX-License-Identifier: MIT */
#include "interpose/signal.h"

#include "core/arch/arch.h"
#include "core/dump.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static ARCH_ENTRY void on_request(int number)
{
  (void)number;
  int saved_errno = errno;
  dump_request("signal");
  errno = saved_errno;
}

bool signal_install(int number)
{
  struct sigaction before;
  if (sigaction(number, NULL, &before) != 0 || (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL)
    return false;
  /* SA_ONSTACK: Go aborts on handlers without it. SA_RESTART: few calls of the program should notice. */
  struct sigaction ours = {.sa_handler = on_request, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigfillset(&ours.sa_mask);
  return sigaction(number, &ours, NULL) == 0;
}
