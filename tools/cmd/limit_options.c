/* SPDX-License-Identifier: MIT */
#include "tools/cmd/limit_options.h"

#include "tools/terminal/say.h"
#include "tools/views/junit.h"

int limit_options_check(const struct cmd_line *line, const GArray *limits)
{
  g_autoptr(GError) error = NULL;
  if (!cmd_has(line, "junit"))
    return EXIT_OK;
  if (limits->len == 0)
    return cmd_misused(line, "--junit writes what came of limits, and there is no --fail-if");
  if (junit_is_writable(cmd_value(line, "junit"), &error))
    return EXIT_OK;
  say("%s; nothing is done", error->message);
  return EXIT_FAILED;
}

/* False after a message. */
static bool write_junit(const struct cmd_line *line, const GArray *outcomes, const char *subject)
{
  g_autoptr(GError) error = NULL;
  struct junit junit = {.path = cmd_value(line, "junit"), .command = line->command->name, .subject = subject};
  if (junit.path == NULL || junit_write(&junit, outcomes, &error))
    return true;
  say("%s", error->message);
  return false;
}

int limit_options_end(const struct cmd_line *line, const GArray *outcomes, const char *subject, int status)
{
  bool is_written = write_junit(line, outcomes, subject);
  enum limit_verdict verdict = limits_verdict(outcomes);
  if (status != EXIT_OK)
    return status;
  if (verdict == LIMIT_BROKEN)
    return EXIT_LIMIT;
  return verdict == LIMIT_HOLDS && is_written ? EXIT_OK : EXIT_FAILED;
}

int limit_options_end_unknown(const struct cmd_line *line, const GArray *limits, const char *subject, const char *why,
                              int status)
{
  g_autoptr(GArray) outcomes = limits_outcomes_new(limits);
  limits_note_unknown(outcomes, why);
  return limit_options_end(line, outcomes, subject, status);
}
