/* SPDX-License-Identifier: MIT */
#include "tools/cmd/moment_options.h"
#include "tools/cmd/record_program.h"

#include <stddef.h>

static int run(const struct cmd_line *line)
{
  if (line->count != 1)
    return cmd_misused(line, "it takes one recording");
  struct recording_options options = {.path = line->operands[0],
                                      .process = cmd_value(line, "process"),
                                      .time = cmd_value(line, "at"),
                                      .output = cmd_value(line, "output"),
                                      .replaces = cmd_has(line, "force")};
  if (options.output == NULL && (options.process != NULL || options.time != NULL || options.replaces))
    return cmd_misused(line, "--at, --process and --force say what is to be written with -o FILE");
  if (!moment_options_check(options.process, options.time))
    return EXIT_USAGE;
  return recording_program(line, &options);
}

static const struct cmd_option options[] = {
    CMD_OPTION_OUTPUT,
    CMD_OPTION_FORCE,
    {.name = "at", .argument = "TIME", .help = "the moment to write: 10:31, first, last, largest, kept:N"},
    {.name = "process", .argument = "PID|NAME", .help = "of which process"},
    CMD_OPTIONS_END,
};

const struct command cmd_recording = {.name = "recording",
                                      .operands = "FILE",
                                      .summary = "Tell what a recording has, or write a moment of it as a profile",
                                      .options = options,
                                      .run = run};
