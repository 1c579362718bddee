/* SPDX-License-Identifier: MIT */
/* How a program that runs until it is told not to is told: by SIGTERM, SIGINT or SIGHUP, which it takes when it waits
 * and at no other moment.
 *
 * Signals: the three stay blocked from then on, in children as well; SIGPIPE is ignored.
 */
#ifndef HEAPPROF_ENDING_H
#define HEAPPROF_ENDING_H

#include <signal.h>
#include <stdbool.h>

/* For sigtimedwait. */
void ending_hold(sigset_t *signals);

/* The same for poll: a descriptor, which can be read when one has come, and is to be closed. -1 and errno: there is
 * none. */
int ending_open(void);

/* Has one come? It is taken. */
bool ending_take(int descriptor);

#endif
