/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/source/snapshot.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"

#include <string.h>

static struct target *find_living(int pid, GError **error)
{
  struct target *target = target_find(pid, error);
  if (target == NULL || target->is_alive)
    return target;
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

static bool dump_one(int pid, const struct snapshot_options *options)
{
  g_autoptr(GError) error = NULL;
  struct target *target = find_living(pid, &error);
  g_autofree char *path = target != NULL ? snapshot_write(target, options, &error) : NULL;
  if (path == NULL)
    say("%s", error->message);
  else if (strcmp(path, "-") != 0)
    put_name(path);
  target_free(target);
  return path != NULL;
}

static int run(const struct cmd_line *line)
{
  struct snapshot_options options = {.moment = cmd_has(line, "peak") ? REGION_PEAK : REGION_NOW,
                                     .detail = cmd_has(line, "lines") ? SYMBOLS_LINES : SYMBOLS_NAMES,
                                     .reason = "dump",
                                     .path = cmd_value(line, "output"),
                                     .replaces = cmd_has(line, "force")};
  g_autofree int *pids = g_new0(int, line->count);
  if (line->count == 0)
    return cmd_misused(line, "which process? heapprof ls lists them");
  if (line->count > 1 && options.path != NULL)
    return cmd_misused(line, "--output names one file, and there are %d processes", line->count);
  for (int i = 0; i < line->count; i++)
    if (!source_is_pid(line->operands[i], &pids[i]))
      return cmd_misused(line, "'%s' is not the number of a process", line->operands[i]);
  int status = EXIT_OK;
  for (int i = 0; i < line->count; i++)
    if (!dump_one(pids[i], &options))
      status = EXIT_FAILED;
  return finish_output(status);
}

static const struct cmd_option options[] = {
    {.name = "output", .letter = 'o', .argument = "FILE", .help = "write there; - is standard output"},
    {.name = "force", .letter = 'f', .help = "replace FILE if it exists"},
    {.name = "peak", .help = "what was in use when most was, instead of now"},
    {.name = "lines", .letter = 'l', .help = "with inlined frames, source files and lines; slower"},
    CMD_OPTIONS_END,
};

const struct command cmd_dump = {.name = "dump",
                                 .operands = "PID...",
                                 .summary = "Write the profile of a running process, without touching it",
                                 .options = options,
                                 .run = run};
