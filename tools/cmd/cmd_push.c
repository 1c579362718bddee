/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/cmd/push_program.h"
#include "tools/terminal/amount.h"
#include "tools/terminal/say.h"

#include <glib.h>

enum { EVERY_SECONDS = 15, EVERY_SECONDS_MAX = 86400 };

static const uint64_t QUEUE_BYTES = UINT64_C(1) << 30, QUEUE_BYTES_MIN = 1 << 20;

static bool read_every(const struct cmd_line *line, unsigned *every_seconds)
{
  const char *text = cmd_value(line, "every");
  uint64_t seconds = EVERY_SECONDS;
  if (text != NULL && (!amount_seconds(text, &seconds) || seconds == 0 || seconds > EVERY_SECONDS_MAX)) {
    say("--every takes a time from 1s to 24h, not '%s'", text);
    return false;
  }
  *every_seconds = (unsigned)seconds;
  return true;
}

static bool read_size(const struct cmd_line *line, uint64_t *bytes)
{
  const char *text = cmd_value(line, "queue-size");
  *bytes = QUEUE_BYTES;
  if (text == NULL || (amount_bytes(text, bytes) && *bytes >= QUEUE_BYTES_MIN))
    return true;
  say("--queue-size takes a size from 1M on, as 256M or 2G, not '%s'", text);
  return false;
}

/* It becomes a header of its own. */
static bool is_tenant(const char *text)
{
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()";
  return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

/* "localhost:4040" without http:// would become a folder, and nothing get to the server. */
static bool is_half_a_url(const char *to)
{
  const char *end = to + strcspn(to, ":/");
  return end[0] == ':' && !g_str_has_prefix(end, "://");
}

static int run(const struct cmd_line *line)
{
  g_autofree const char **labels = cmd_values(line, "label");
  struct push_options options = {.to = cmd_value(line, "to"),
                                 .is_once = cmd_has(line, "once"),
                                 .queue = cmd_value(line, "queue"),
                                 .labels = labels,
                                 .tenant = cmd_value(line, "tenant"),
                                 .token_file = cmd_value(line, "token-file"),
                                 .password_file = cmd_value(line, "password-file"),
                                 .ca_file = cmd_value(line, "ca-file"),
                                 .operands = line->operands};
  if (options.to == NULL || options.to[0] == '\0')
    return cmd_misused(line, "--to says where: a URL, or a folder");
  if (is_half_a_url(options.to))
    return cmd_misused(line, "--to '%s': a URL begins with http:// or https://, a folder of that name with ./",
                       options.to);
  if (!read_every(line, &options.every_seconds) || !read_size(line, &options.bytes_max))
    return EXIT_USAGE;
  if (options.token_file != NULL && options.password_file != NULL)
    return cmd_misused(line, "--token-file or --password-file, not both");
  if (options.tenant != NULL && !is_tenant(options.tenant))
    return cmd_misused(line, "--tenant '%s': letters, digits and !-_.*'() are accepted", options.tenant);
  for (int i = 0; i < line->count; i++)
    if (line->operands[i][0] == '\0')
      return cmd_misused(line, "'' is neither the number nor the name of a process");
  return push_program(line, &options);
}

static const struct cmd_option options[] = {
    {.name = "to", .argument = "URL|DIR", .help = "a Pyroscope, as http://HOST:4040; or a folder, for files"},
    {.name = "every", .argument = "TIME", .help = "how often: 10s, 1m, ...; 15s if not given"},
    {.name = "once", .help = "now, and then end: 0 if all was taken"},
    {.name = "label", .argument = "NAME=VALUE", .help = "one more label for all that is pushed; may be repeated"},
    {.name = "tenant", .argument = "NAME", .help = "whose it is, as X-Scope-OrgID"},
    {.name = "token-file", .argument = "FILE", .help = "a token for the server is the first line of FILE"},
    {.name = "password-file", .argument = "FILE", .help = "user:password for the server is the first line of FILE"},
    {.name = "ca-file", .argument = "FILE", .help = "certificates that the server's must come from, in PEM"},
    {.name = "queue", .argument = "DIR", .help = "where profiles wait while the server is away"},
    {.name = "queue-size", .argument = "SIZE", .help = "how much may wait: 256M, 2G, ...; 1G if not given"},
    CMD_OPTIONS_END,
};

const struct command cmd_push = {.name = "push",
                                 .operands = "[PID|NAME...]",
                                 .summary = "Push the profiles of running processes to Pyroscope, or into a folder",
                                 .options = options,
                                 .run = run};
