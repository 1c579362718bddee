/* SPDX-License-Identifier: MIT */
/* What the shim says to people: one line on standard error, in one write, prefixed with "heapprof: ".
 *
 * Threads, signals, fork: safe. errno is kept. A closed or full standard error costs the line, nothing else.
 */
#ifndef HEAPPROF_MESSAGE_H
#define HEAPPROF_MESSAGE_H

#include <stdbool.h>

/* From the constructor, before the first message: notes which file standard error is. Should descriptor 2 become another file, later
 * messages are dropped. */
void message_init(void);

/* The parts are joined; the list ends with NULL. */
void message_print(const char *first, ...) __attribute__((sentinel));

/* Is a person likely to be reading standard error? */
bool message_reaches_terminal(void);

#endif
