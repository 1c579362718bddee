/* SPDX-License-Identifier: MIT */
/* How this program was started: its arguments, as one line, before the program can change them.
 *
 * Threads, signals: kept once, by the constructor; read by anyone. Fork: a child has its parent's.
 */
#ifndef HEAPPROF_COMMAND_LINE_H
#define HEAPPROF_COMMAND_LINE_H

#include <stdbool.h>

/* The array ends with NULL. What does not fit into COMMAND_BYTES is cut. */
void command_line_keep(char *const *arguments);

/* "" before. Spaces are between arguments, and instead of control characters. */
const char *command_line(void);

/* Does the process still call itself so? False where that is not known, too. */
bool command_line_is_unchanged(void);

#endif
