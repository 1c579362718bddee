/* SPDX-License-Identifier: MIT */
/* What the commands that judge by limits do with what came of them. */
#ifndef HEAPPROF_LIMIT_OPTIONS_H
#define HEAPPROF_LIMIT_OPTIONS_H

#include "tools/cmd/cmd.h"
#include "tools/views/limit.h"

/* clang-format off */
#define LIMIT_OPTION_JUNIT {"junit", 0, "FILE", "write what came of the limits as a JUnit file"}
/* clang-format on */

/* Before the work. EXIT_OK, or another status after a message. */
int limit_options_check(const struct cmd_line *line, const GArray *limits);

/* Writes the JUnit file, if one is wanted, about `subject`. The exit status: `status`, or, where that is EXIT_OK,
 * EXIT_LIMIT if a limit is broken, EXIT_FAILED if one is not known or the file could not be written. */
int limit_options_end(const struct cmd_line *line, const GArray *outcomes, const char *subject, int status);

/* The same where nothing could be judged. */
int limit_options_end_unknown(const struct cmd_line *line, const GArray *limits, const char *subject, const char *why,
                              int status);

#endif
