/* SPDX-License-Identifier: MIT */
/* The signal that asks for a profile. Installed only over the default action: a program's own handler, or its wish to
 * ignore the signal, always wins, before and after. sigaction is not wrapped.
 *
 * Signals: the handler uses less than 2 KiB of the stack that it is on.
 */
#ifndef HEAPPROF_SIGNAL_H
#define HEAPPROF_SIGNAL_H

#include <stdbool.h>

/* From the constructor. False: the program uses the signal itself. */
bool signal_install(int number);

#endif
