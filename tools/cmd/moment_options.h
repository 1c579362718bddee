/* SPDX-License-Identifier: MIT */
/* Options of the commands that look at a heap: which moment of a recording. They make of FILE what recorded_moment.h
 * has a name for, so that it can be written without options, too: FILE@PROCESS@TIME. */
#ifndef HEAPPROF_MOMENT_OPTIONS_H
#define HEAPPROF_MOMENT_OPTIONS_H

#include "tools/cmd/cmd.h"

/* clang-format off */
#define MOMENT_OPTION_PROCESS {"process", 0, "PID|NAME", "of a recording: which process"}
#define MOMENT_OPTIONS \
  {"at", 0, "TIME", "of a recording: the moment, as 10:31, first, last, largest, kept:N"}, \
  MOMENT_OPTION_PROCESS
/* clang-format on */

/* The operand as it is meant by these options, a new text; NULL after a message: it is no recording, and they are
 * there. */
char *moment_options(const struct cmd_line *line, const char *operand);

/* False after a message: the process, or the time that this option is given, can be none of any recording. */
bool moment_options_check(const struct cmd_line *line, const char *option);

/* The same at this time. */
char *moment_options_at(const struct cmd_line *line, const char *operand, const char *time);

#endif
