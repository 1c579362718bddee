/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/cmd/serve_program.h"
#include "tools/http/pulse_clock.h"
#include "tools/serve/scrape_config.h"
#include "tools/serve/sites.h"
#include "tools/source/recorded_moment.h"
#include "tools/terminal/say.h"

#include <glib.h>
#include <string.h>

static const char default_listen[] = "127.0.0.1:6060";

static int print_config(const struct cmd_line *line, const struct serve_options *options)
{
  g_autoptr(GError) error = NULL;
  const char *kind = cmd_value(line, "print-config");
  /* Who reads the configuration is in another folder. */
  g_autofree char *token_file = options->token_file != NULL ? g_canonicalize_filename(options->token_file, NULL) : NULL;
  struct scrape_config config = {options->listen, token_file, options->operands};
  if (!scrape_config_knows(kind))
    return cmd_misused(line, "--print-config knows " SCRAPE_CONFIG_KINDS ", not '%s'", kind);
  GString *text = scrape_config_text(kind, &config, &error);
  if (text == NULL)
    return cmd_misused(line, "%s", error->message);
  (void)fputs(text->str, stdout);
  g_string_free(text, TRUE);
  return finish_output(EXIT_OK);
}

/* What only processes that run have. */
static int check_recording(const struct cmd_line *line, const char *name)
{
  static const char *const others[] = {"sites", "history", "print-config", NULL};
  if (line->count > 1)
    return cmd_misused(line, "%s is a recording: it is served alone", name);
  for (const char *const *other = others; *other != NULL; other++)
    if (cmd_has(line, *other))
      return cmd_misused(line, "%s is a recording, and --%s is for processes that run", name, *other);
  return EXIT_OK;
}

/* Or what is none, but no process either: then it is told why when it is opened. */
static bool is_file(const struct cmd_line *line, const char *name)
{
  bool is_no_process = strchr(name, '/') != NULL || strcmp(name, "-") == 0;
  return recorded_moment_is_file(name) || (is_no_process && !cmd_has(line, "print-config"));
}

static int find_recording(const struct cmd_line *line, struct serve_options *options)
{
  for (int i = 0; i < line->count; i++) {
    const char *name = line->operands[i];
    if (is_file(line, name)) {
      options->recording = name;
      return check_recording(line, name);
    }
  }
  return EXIT_OK;
}

/* As a client says it in Host, without the port. */
static bool is_host_name(const char *name)
{
  return name[0] != '\0' &&
         name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")] == '\0';
}

static int run(const struct cmd_line *line)
{
  g_autofree const char **hosts = cmd_values(line, "host");
  struct serve_options options = {.listen = cmd_has(line, "listen") ? cmd_value(line, "listen") : default_listen,
                                  .token_file = cmd_value(line, "token-file"),
                                  .has_no_auth = cmd_has(line, "no-auth"),
                                  .user = cmd_value(line, "user"),
                                  .hosts = hosts,
                                  .operands = line->operands};
  uint64_t sites, history_seconds;
  if (!cmd_number(line, "sites", 0, SITES_MAX, 0, &sites) ||
      !cmd_number(line, "history", 0, PULSE_SECONDS_MAX, PULSE_SECONDS, &history_seconds))
    return EXIT_USAGE;
  options.sites = (unsigned)sites;
  options.history_seconds = (unsigned)history_seconds;
  if (options.token_file != NULL && options.has_no_auth)
    return cmd_misused(line, "--token-file or --no-auth, not both");
  for (const char **host = hosts; *host != NULL; host++)
    if (!is_host_name(*host))
      return cmd_misused(line, "--host '%s': a name is accepted, without http:// and without a port", *host);
  for (int i = 0; i < line->count; i++)
    if (line->operands[i][0] == '\0')
      return cmd_misused(line, "'' is neither the number nor the name of a process");
  int status = find_recording(line, &options);
  if (status != EXIT_OK)
    return status;
  return cmd_has(line, "print-config") ? print_config(line, &options) : serve_program(line, &options);
}

static const struct cmd_option options[] = {
    {.name = "listen", .argument = "ADDRESS", .help = "ADDRESS:PORT or unix:PATH; 127.0.0.1:6060 if not given"},
    {.name = "token-file", .argument = "FILE", .help = "who asks must know the first line of FILE"},
    {.name = "no-auth", .help = "other machines may ask without a token"},
    {.name = "host", .argument = "NAME", .help = "a name by which the server may be asked, besides its own"},
    {.name = "sites", .argument = "K", .help = "put the K largest owners of each process into /metrics"},
    {.name = "history",
     .argument = "SECONDS",
     .help = "remember what all have in use every SECONDS, for an hour; 0: not"},
    {.name = "print-config", .argument = "WHOSE", .help = "print what makes " SCRAPE_CONFIG_KINDS " ask, and end"},
    {.name = "user", .argument = "USER", .help = "become USER, and serve that user's processes"},
    CMD_OPTIONS_END,
};

const struct command cmd_serve = {.name = "serve",
                                  .operands = "[PID|NAME...|FILE]",
                                  .summary = "Serve the profiles of processes over HTTP, as Go's net/http/pprof does",
                                  .options = options,
                                  .run = run};
