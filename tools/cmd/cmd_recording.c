/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/cmd/moment_options.h"
#include "tools/cmd/record_program.h"

#include <stddef.h>

static int check_options(const struct cmd_line *line)
{
  bool writes = cmd_has(line, "output"), has_timeline = cmd_has(line, "timeline"), has_json = cmd_has(line, "json");
  if (line->count != 1)
    return cmd_takes(line, 1, "one recording");
  if (writes + has_timeline + has_json > 1)
    return cmd_misused(line, "--json, --timeline or -o FILE, one of them");
  if (!writes && (cmd_has(line, "at") || cmd_has(line, "force")))
    return cmd_misused(line, "--at and --force say what is to be written with -o FILE");
  if (!writes && !has_timeline && cmd_has(line, "process"))
    return cmd_misused(line, "--process says what is to be written with -o FILE or --timeline");
  return EXIT_OK;
}

static int run(const struct cmd_line *line)
{
  struct recording_options options = {.path = line->operands[0],
                                      .process = cmd_value(line, "process"),
                                      .time = cmd_value(line, "at"),
                                      .output = cmd_value(line, "output"),
                                      .replaces = cmd_has(line, "force"),
                                      .lists_as_json = cmd_has(line, "json"),
                                      .has_timeline = cmd_has(line, "timeline")};
  int status = check_options(line);
  if (status == EXIT_OK && !moment_options_check(line, "at"))
    return EXIT_USAGE;
  return status == EXIT_OK ? recording_program(line, &options) : status;
}

static const struct cmd_option options[] = {
    CMD_OPTION_OUTPUT,
    CMD_OPTION_FORCE,
    {.name = "at", .argument = "TIME", .help = "the moment to write: 10:31, first, last, largest, kept:N"},
    {.name = "process", .argument = "PID|NAME", .help = "of which process"},
    CMD_OPTION_JSON,
    {.name = "timeline", .help = "print as JSON what one process held over time, by owner"},
    CMD_OPTIONS_END,
};

const struct command cmd_recording = {.name = "recording",
                                      .operands = "FILE",
                                      .summary = "Tell what a recording has, or write a moment of it as a profile",
                                      .options = options,
                                      .run = run};
