/* SPDX-License-Identifier: MIT */
/* Where `heapprof record` and `heapprof recording` run: heapprof executes heapprof-record, so that no other command
 * loads SQLite.
 */
#ifndef HEAPPROF_RECORD_PROGRAM_H
#define HEAPPROF_RECORD_PROGRAM_H

#include "tools/cmd/cmd.h"
#include "tools/record/record.h"
#include "tools/record/recording.h"

/* Each returns the exit status. */
int record_program(const struct cmd_line *line, const struct record_options *options);
int recording_program(const struct cmd_line *line, const struct recording_options *options);

#endif
