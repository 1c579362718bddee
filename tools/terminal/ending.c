/* SPDX-License-Identifier: MIT */
#include "tools/terminal/ending.h"

#include <sys/signalfd.h>
#include <unistd.h>

void ending_hold(sigset_t *signals)
{
  sigemptyset(signals);
  sigaddset(signals, SIGTERM);
  sigaddset(signals, SIGINT);
  sigaddset(signals, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, signals, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
}

int ending_open(void)
{
  sigset_t signals;
  ending_hold(&signals);
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

bool ending_take(int descriptor)
{
  struct signalfd_siginfo info;
  return read(descriptor, &info, sizeof info) > 0;
}
