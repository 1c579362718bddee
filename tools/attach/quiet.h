/* SPDX-License-Identifier: MIT */
/* While this command holds threads of others, nothing holds it up: no Ctrl-Z, no Ctrl-C, and, where that is allowed, no
 * other program that wants the processor. That a thread has stopped is a signal that waits, too.
 */
#ifndef HEAPPROF_ATTACH_QUIET_H
#define HEAPPROF_ATTACH_QUIET_H

#include <signal.h>

struct quiet {
  sigset_t mask;
  int priority;
};

struct quiet quiet_begin(void);
void quiet_end(const struct quiet *quiet);

#endif
