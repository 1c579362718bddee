/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/cmd/record_program.h"
#include "tools/record/amount.h"
#include "tools/record/condition.h"
#include "tools/terminal/say.h"

#include <glib.h>
#include <string.h>

static const char default_every[] = "10s", default_keep[] = "24h", default_size[] = "1G";
enum { LEAST_SIZE_BYTES = 8 << 20, LAST_USUAL = 3, LAST_MAX = 1000 };

static const char *value_or(const struct cmd_line *line, const char *option, const char *fallback)
{
  return cmd_has(line, option) ? cmd_value(line, option) : fallback;
}

/* False after a message. */
static bool duration(const struct cmd_line *line, const char *option, const char *fallback, int64_t *ns)
{
  const int64_t least_ns = AMOUNT_SECOND_NS / 100; /* more often, and the recorder does nothing else */
  const char *text = value_or(line, option, fallback);
  if (amount_duration(text, ns) && *ns >= least_ns)
    return true;
  say("--%s takes a time from 0.01s to some hundred years, as 10s, 5m, 24h or 7d, not '%s'", option, text);
  return false;
}

static bool size(const struct cmd_line *line, uint64_t *bytes)
{
  const char *text = value_or(line, "size", default_size);
  if (amount_size(text, bytes) && *bytes >= LEAST_SIZE_BYTES)
    return true;
  say("--size takes a size from 8M on, as 64M or 1G, not '%s'", text);
  return false;
}

static int check_operands(const struct cmd_line *line)
{
  if (line->count == 0 && !cmd_has(line, "all"))
    return cmd_misused(line, "which processes? PID, NAME or --all");
  if (line->count > 0 && cmd_has(line, "all"))
    return cmd_misused(line, "--all or processes, not both");
  for (int i = 0; i < line->count; i++)
    if (line->operands[i][0] == '\0' || strchr(line->operands[i], '/') != NULL)
      return cmd_misused(line, "'%s' is neither the number nor the name of a process", line->operands[i]);
  return EXIT_OK;
}

static int misused_without_file(const struct cmd_line *line)
{
  g_autofree char *names = g_strjoinv(", ", (char **)(uintptr_t)line->operands);
  return cmd_misused(line, "into which file is %s to be recorded? -o FILE", line->count > 0 ? names : "what runs");
}

static int check_file(const struct cmd_line *line, const char *path)
{
  if (path == NULL)
    return misused_without_file(line);
  if (path[0] == '\0' || strcmp(path, "-") == 0)
    return cmd_misused(line, "a recording is a file that can be read while it is written: -o FILE, not '%s'", path);
  return EXIT_OK;
}

static int run(const struct cmd_line *line)
{
  uint64_t last;
  g_autofree const char **texts = cmd_values(line, "at");
  g_autoptr(GArray) conditions = conditions_read(texts);
  if (conditions == NULL || !cmd_number(line, "last", 0, LAST_MAX, LAST_USUAL, &last))
    return EXIT_USAGE;
  struct record_options options = {
      .conditions = conditions, .last = (unsigned)last, .path = cmd_value(line, "output"), .operands = line->operands};
  if (!duration(line, "every", default_every, &options.every_ns) ||
      !duration(line, "keep", default_keep, &options.keep_ns) || !size(line, &options.size_bytes) ||
      !cmd_number(line, "moments", 1, INT64_MAX, 0, &options.moments))
    return EXIT_USAGE;
  int status = check_operands(line);
  if (status == EXIT_OK)
    status = check_file(line, options.path);
  return status == EXIT_OK ? record_program(line, &options) : status;
}

static const struct cmd_option options[] = {
    {.name = "output", .letter = 'o', .argument = "FILE", .help = "record into FILE; what is in it stays"},
    {.name = "every", .argument = "TIME", .help = "how long from one moment to the next; 10s if not given"},
    {.name = "keep", .argument = "TIME", .help = "forget what is older; 24h if not given"},
    {.name = "size", .argument = "SIZE", .help = "forget the oldest where FILE has more; 1G if not given"},
    {.name = "moments", .argument = "N", .help = "end after N moments"},
    {.name = "at",
     .argument = "CONDITION",
     .help = "keep a profile when inuse>2G, growth>100M/10m, cgroup>90%, psi>10%"},
    {.name = "last", .argument = "K", .help = "of each condition, besides the first and the largest: 3 if not given"},
    {.name = "all", .letter = 'a', .help = "all processes that this user may read, as they come"},
    CMD_OPTIONS_END,
};

const struct command cmd_record = {.name = "record",
                                   .operands = "[PID|NAME...]",
                                   .summary = "Record what processes hold over time, in one file",
                                   .options = options,
                                   .run = run};
