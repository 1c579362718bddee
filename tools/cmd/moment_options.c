/* SPDX-License-Identifier: MIT */
#include "tools/cmd/moment_options.h"

#include "tools/record/amount.h"
#include "tools/source/recorded_moment.h"
#include "tools/terminal/say.h"

#include <glib.h>

bool moment_options_check(const struct cmd_line *line, const char *option)
{
  const char *process = cmd_value(line, "process"), *time = cmd_value(line, option);
  if (process != NULL && process[0] == '\0')
    say("--process takes the number or the name of a process, not ''");
  else if (time != NULL && !amount_is_moment(time))
    say("--%s takes a moment: " AMOUNT_MOMENTS ", not '%s'", option, time);
  else
    return true;
  return false;
}

char *moment_options_at(const struct cmd_line *line, const char *operand, const char *time)
{
  const char *process = cmd_value(line, "process");
  if (process == NULL && time == NULL)
    return g_strdup(operand);
  if (!recorded_moment_is(operand)) {
    say("%s is no recording: there are no moments and processes in it to choose from", operand);
    return NULL;
  }
  return recorded_moment_name(operand, process, time);
}

char *moment_options(const struct cmd_line *line, const char *operand)
{
  return moment_options_at(line, operand, cmd_value(line, "at"));
}
