/* SPDX-License-Identifier: MIT */
/* Runs a function on another stack: for work too deep for the stack that a hook or a handler happens to be on.
 *
 * Threads: the caller makes sure that a stack has one user at a time. Signals: a handler without SA_ONSTACK would run
 * on the borrowed stack, so block signals around the call unless the stack is meant for that. Unwinders can walk
 * through the switch.
 */
#ifndef HEAPPROF_ON_STACK_H
#define HEAPPROF_ON_STACK_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* Calls it on a stack that is mapped for this one call, with signals blocked. False: no memory, nothing was called. */
HIDDEN bool on_fresh_stack(void (*function)(void *argument), void *argument, size_t stack_bytes);

/* Blocks every signal of the calling thread; signals_restore puts back what was. A system call each. */
struct blocked_signals {
  unsigned long mask;
};
HIDDEN struct blocked_signals signals_block(void);
HIDDEN void signals_restore(struct blocked_signals before);

#endif
