/* SPDX-License-Identifier: MIT */
/* What the shim says to people: one line on standard error, in one write, prefixed with "heapprof: ".
 *
 * Threads, signals, fork: safe. Stack: under 300 bytes. errno is kept. A closed or full standard error costs the line,
 * nothing else.
 */
#ifndef HEAPPROF_MESSAGE_H
#define HEAPPROF_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

/* From the constructor, before the first message: notes which file standard error is. If descriptor 2 becomes another
 * file, later messages are dropped. */
void message_init(void);

/* Instead: nothing is ever said. */
void message_init_silent(void);

/* Joins its arguments, texts. They lie in an array, as a function of any number of arguments keeps all registers on the
 * stack. */
#define message_print(...) message_print_parts((const char *const[]){__VA_ARGS__, NULL})
void message_print_parts(const char *const *parts);

/* Is a person likely to be reading standard error? */
bool message_reaches_terminal(void);

#endif
