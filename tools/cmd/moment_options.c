/* SPDX-License-Identifier: MIT */
#include "tools/cmd/moment_options.h"

#include "tools/source/recorded_moment.h"
#include "tools/terminal/say.h"

#include <glib.h>

char *moment_options_at(const struct cmd_line *line, const char *operand, const char *time)
{
  const char *process = cmd_value(line, "process");
  if (process == NULL && time == NULL)
    return g_strdup(operand);
  if (!recorded_moment_is(operand)) {
    say("%s is no recording: there are no moments and processes in it to choose from", operand);
    return NULL;
  }
  return g_strconcat(operand, process != NULL ? "@" : "", process != NULL ? process : "", time != NULL ? "@" : "",
                     time != NULL ? time : "", NULL);
}

char *moment_options(const struct cmd_line *line, const char *operand)
{
  return moment_options_at(line, operand, cmd_value(line, "at"));
}
