/* SPDX-License-Identifier: MIT */
/* Where `heapprof serve` runs: heapprof executes heapprof-serve, and that serves. Two programs, so that libmicrohttpd
 * and the ten libraries behind it are loaded by the one that needs them: they take longer to load than most commands
 * run.
 */
#ifndef HEAPPROF_SERVE_PROGRAM_H
#define HEAPPROF_SERVE_PROGRAM_H

#include "tools/cmd/cmd.h"
#include "tools/http/serve.h"

/* Returns the exit status. */
int serve_program(const struct cmd_line *line, const struct serve_options *options);

#endif
