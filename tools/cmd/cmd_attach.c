/* SPDX-License-Identifier: MIT */
#include "tools/attach/attach.h"
#include "tools/attach/candidate.h"
#include "tools/cmd/cmd.h"
#include "tools/run/run_environment.h"
#include "tools/run/shim.h"
#include "tools/source/snapshot.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { S_PER_MINUTE = 60, S_PER_HOUR = 3600, LONGEST_S = 366 * 24 * S_PER_HOUR };

#define NS_PER_S 1e9

/* "60s", "5m", "2h"; a plain number is of seconds. */
static bool read_duration(const char *text, double *seconds)
{
  char *end;
  *seconds = g_ascii_strtod(text, &end);
  if (strcmp(end, "m") == 0)
    *seconds *= S_PER_MINUTE;
  else if (strcmp(end, "h") == 0)
    *seconds *= S_PER_HOUR;
  else if (end[0] != '\0' && strcmp(end, "s") != 0)
    return false;
  return g_ascii_isdigit(text[0]) && *seconds > 0 && *seconds <= LONGEST_S;
}

static bool add_option(GPtrArray *settings, const struct cmd_line *line, const char *option, const char *variable)
{
  const char *value = cmd_value(line, option);
  if (value == NULL)
    return true;
  if (!run_environment_accepts(variable, value)) {
    say("--%s takes %s, not '%s'", option, run_environment_accepted(variable), value);
    return false;
  }
  g_ptr_array_add(settings, g_strdup_printf("%s=%s", variable, value));
  return true;
}

/* What it would have read itself, had it been started with the library; then ours, which count more. */
static bool add_settings(GPtrArray *settings, const struct cmd_line *line, int pid)
{
  static const char *const variables[] = {"XDG_RUNTIME_DIR", "HEAPPROF_SAMPLE", "HEAPPROF_DEPTH", "HEAPPROF_STATE_DIR"};
  for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
    g_autofree char *theirs = candidate_variable(pid, variables[i]);
    bool is_good = theirs != NULL && (i == 0 || run_environment_accepts(variables[i], theirs));
    if (is_good)
      g_ptr_array_add(settings, g_strdup_printf("%s=%s", variables[i], theirs));
  }
  const char *folder = g_getenv("HEAPPROF_STATE_DIR");
  if (folder != NULL && candidate_shares_files(pid) && run_environment_accepts("HEAPPROF_STATE_DIR", folder))
    g_ptr_array_add(settings, g_strdup_printf("HEAPPROF_STATE_DIR=%s", folder));
  bool are_accepted = add_option(settings, line, "sample", "HEAPPROF_SAMPLE") &&
                      add_option(settings, line, "depth", "HEAPPROF_DEPTH") &&
                      add_option(settings, line, "seed", "HEAPPROF_SEED");
  g_ptr_array_add(settings, NULL);
  return are_accepted;
}

static struct quantity_text milliseconds(uint64_t ns)
{
  return quantity((double)ns, "nanoseconds");
}

static void report(const struct attach_wish *wish, const struct attach_result *result)
{
  g_autofree char *name = candidate_name(wish->pid);
  struct quantity_text interval = quantity((double)result->sample_interval_bytes, "bytes");
  if (result->answer == ATTACHMENT_SETTLED)
    say("%s (%d) is sampled, every %s; it had the library already", name, wish->pid, interval.text);
  else
    say("attached to %s (%d): a sample every %s, hooks in %s; it stood still for %s, one thread for %s; what it "
        "allocated before is not known",
        name, wish->pid, interval.text, result->allocator, milliseconds(result->all_stood_ns).text,
        milliseconds(result->stood_ns).text);
}

/* Until then, or until somebody wants it to end. */
static void wait_for(double seconds)
{
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  sigaddset(&wanted, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &wanted, NULL);
  struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * NS_PER_S)};
  (void)sigtimedwait(&wanted, NULL, &rest);
}

static int write_profile(int pid, const struct cmd_line *line)
{
  struct snapshot_options options = {
      .detail = SYMBOLS_LINES, .reason = "dump", .path = cmd_value(line, "output"), .replaces = cmd_has(line, "force")};
  g_autoptr(GError) error = NULL;
  struct target *target = target_find(pid, &error);
  g_autofree char *path = target != NULL ? snapshot_write(target, &options, &error) : NULL;
  if (path == NULL)
    say("%s", error->message);
  else if (strcmp(path, "-") != 0)
    put_name(path);
  target_free(target);
  return path != NULL ? EXIT_OK : EXIT_FAILED;
}

static int profile_for(const struct attach_wish *wish, const struct cmd_line *line, double seconds)
{
  struct attach_wish end = *wish;
  struct attach_result result;
  g_autoptr(GError) error = NULL;
  wait_for(seconds);
  int status = write_profile(wish->pid, line);
  end.wish = ATTACHMENT_OFF;
  if (attach_process(&end, &result, &error))
    return status;
  say("%s", error->message);
  return EXIT_FAILED;
}

static int run(const struct cmd_line *line)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) settings = g_ptr_array_new_with_free_func(g_free);
  struct attach_wish wish = {.wish = ATTACHMENT_ON};
  struct attach_result result;
  double seconds = 0;
  if (line->count != 1)
    return cmd_misused(line, line->count == 0 ? "which process?" : "one process at a time");
  if (cmd_has(line, "for") && !read_duration(cmd_value(line, "for"), &seconds))
    return cmd_misused(line, "--for takes a time such as 60s, 5m or 2h, not '%s'", cmd_value(line, "for"));
  if (cmd_has(line, "output") && seconds == 0)
    return cmd_misused(line, "--output is for the profile that --for writes");
  g_autofree char *library = shim_find(&error);
  if (library == NULL || !candidate_find(line->operands[0], &wish.pid, &error)) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  if (!add_settings(settings, line, wish.pid))
    return EXIT_USAGE;
  wish.library = library;
  wish.settings = (const char *const *)settings->pdata;
  if (!attach_process(&wish, &result, &error)) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  report(&wish, &result);
  return finish_output(seconds > 0 ? profile_for(&wish, line, seconds) : EXIT_OK);
}

static const struct cmd_option options[] = {
    {.name = "for", .argument = "TIME", .help = "wait so long (60s, 5m, 2h), write the profile, detach"},
    {.name = "sample",
     .letter = 's',
     .argument = "BYTES",
     .help = "mean bytes between samples; K, M, G; 1 records every allocation"},
    {.name = "depth", .argument = "FRAMES", .help = "the most frames kept of a stack"},
    {.name = "seed", .argument = "NUMBER", .help = "of the sampler, to repeat a run"},
    CMD_OPTION_OUTPUT,
    CMD_OPTION_FORCE,
    CMD_OPTIONS_END,
};

const struct command cmd_attach = {.name = "attach",
                                   .operands = "PID|NAME",
                                   .summary = "Profile a process that has been running, from now on",
                                   .options = options,
                                   .run = run};

/* The way back is the same, and as short. */
static int run_detach(const struct cmd_line *line)
{
  static const char *const no_settings[] = {NULL};
  struct attach_wish wish = {.wish = ATTACHMENT_OFF, .settings = no_settings};
  struct attach_result result;
  g_autoptr(GError) error = NULL;
  if (line->count != 1)
    return cmd_misused(line, line->count == 0 ? "which process?" : "one process at a time");
  if (!candidate_find(line->operands[0], &wish.pid, &error) || !attach_process(&wish, &result, &error)) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  g_autofree char *name = candidate_name(wish.pid);
  if (result.answer == ATTACHMENT_SETTLED)
    say("%s (%d) is not sampled any more", name, wish.pid);
  else
    say("detached from %s (%d), whose code is as it was; it stood still for %s; heapprof top %d shows what was seen",
        name, wish.pid, quantity((double)result.all_stood_ns, "nanoseconds").text, wish.pid);
  return finish_output(EXIT_OK);
}

static const struct cmd_option detach_options[] = {CMD_OPTIONS_END};

const struct command cmd_detach = {.name = "detach",
                                   .operands = "PID|NAME",
                                   .summary = "Take the hooks off a process that heapprof attach put them on",
                                   .options = detach_options,
                                   .run = run_detach};
