/* SPDX-License-Identifier: MIT */
#include "tools/cmd/value_options.h"
#include "tools/source/snapshot.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"

#include <string.h>

static struct target *find_living(const char *operand, GError **error)
{
  struct target *target = source_find_process(operand, error);
  if (target == NULL || target->is_alive)
    return target;
  int pid = target->pid;
  g_set_error(
      error, REGION_ERROR, REGION_ERROR_UNUSABLE,
      target->is_replaced
          ? "process %d runs another program by now, which is not profiled; heapprof recover %d writes the profile of "
            "the one before"
          : "process %d has ended; heapprof recover %d writes its profile",
      pid, pid);
  target_free(target);
  return NULL;
}

static bool dump_one(const char *operand, const struct snapshot_options *options)
{
  g_autoptr(GError) error = NULL;
  struct target *target = find_living(operand, &error);
  g_autofree char *path = target != NULL ? snapshot_write(target, options, &error) : NULL;
  if (path == NULL && error == NULL)
    say("'%s' is not the number of a process, nor the name of one that is profiled; heapprof ls lists them", operand);
  else if (path == NULL)
    say("%s", error->message);
  else if (strcmp(path, "-") != 0)
    put_name(path);
  target_free(target);
  return path != NULL;
}

static int run(const struct cmd_line *line)
{
  struct snapshot_options options = {.moment = value_options_moment(line),
                                     .detail = cmd_has(line, "no-lines") ? SYMBOLS_NAMES : SYMBOLS_LINES,
                                     .reason = "dump",
                                     .path = cmd_value(line, "output"),
                                     .replaces = cmd_has(line, "force")};
  if (cmd_has(line, "lines") && cmd_has(line, "no-lines"))
    return cmd_misused(line, "--lines or --no-lines, not both");
  if (!value_options_moment_agrees(line))
    return EXIT_USAGE;
  if (line->count == 0)
    return cmd_takes(line, 0, "processes, which heapprof ls lists");
  if (line->count > 1 && options.path != NULL)
    return cmd_misused(line, "--output names one file, and there are %d processes", line->count);
  for (int i = 0; i < line->count; i++)
    if (strchr(line->operands[i], '/') != NULL || line->operands[i][0] == '\0')
      return cmd_misused(line, "'%s' is neither the number nor the name of a process", line->operands[i]);
  int status = EXIT_OK;
  for (int i = 0; i < line->count; i++)
    if (!dump_one(line->operands[i], &options))
      status = EXIT_FAILED;
  return finish_output(status);
}

static const struct cmd_option options[] = {
    {.name = "output", .letter = 'o', .argument = "FILE", .help = "write there; - is standard output"},
    {.name = "force", .letter = 'f', .help = "replace FILE if it exists"},
    MAPPED_OPTION,
    {.name = "peak", .help = "what was in use when most was, instead of now"},
    {.name = "no-lines", .help = "without inlined frames, source files and lines; faster"},
    {.name = "lines", .letter = 'l', .help = "with them, as it is without --no-lines, too"},
    CMD_OPTIONS_END,
};

const struct command cmd_dump = {.name = "dump",
                                 .operands = "PID|NAME...",
                                 .summary = "Write the profile of a running process, without touching it",
                                 .options = options,
                                 .run = run};
