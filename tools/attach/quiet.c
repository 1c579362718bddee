/* SPDX-License-Identifier: MIT */
#include "tools/attach/quiet.h"

#include <stddef.h>
#include <sys/resource.h>

struct quiet quiet_begin(void)
{
  static const int signals[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGPIPE, SIGCHLD};
  enum { FIRST_PRIORITY = -20 };
  struct quiet quiet = {.priority = getpriority(PRIO_PROCESS, 0)};
  sigset_t blocked;
  sigemptyset(&blocked);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    sigaddset(&blocked, signals[i]);
  (void)sigprocmask(SIG_BLOCK, &blocked, &quiet.mask);
  (void)setpriority(PRIO_PROCESS, 0, FIRST_PRIORITY);
  return quiet;
}

void quiet_end(const struct quiet *quiet)
{
  (void)setpriority(PRIO_PROCESS, 0, quiet->priority);
  (void)sigprocmask(SIG_SETMASK, &quiet->mask, NULL);
}
