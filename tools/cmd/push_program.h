/* SPDX-License-Identifier: MIT */
/* Where `heapprof push` runs: heapprof executes heapprof-push, and that pushes. Two programs, as with serve: libcurl
 * and what it needs take longer to load than most commands run.
 */
#ifndef HEAPPROF_PUSH_PROGRAM_H
#define HEAPPROF_PUSH_PROGRAM_H

#include "tools/cmd/cmd.h"
#include "tools/push/push.h"

/* Returns the exit status. */
int push_program(const struct cmd_line *line, const struct push_options *options);

#endif
