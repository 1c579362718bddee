/* SPDX-License-Identifier: MIT */
/* heapprof-record: what `heapprof record` and `heapprof recording` become. */
#include "tools/cmd/record_program.h"

#include <stddef.h>

extern const struct command cmd_record, cmd_recording;

const struct command *const commands[] = {&cmd_record, &cmd_recording, NULL};

int record_program(const struct cmd_line *line, const struct record_options *options)
{
  (void)line;
  return record_run(options);
}

int recording_program(const struct cmd_line *line, const struct recording_options *options)
{
  (void)line;
  return recording_run(options);
}

int main(int argc, char **argv)
{
  return cmd_main(argc, argv);
}
