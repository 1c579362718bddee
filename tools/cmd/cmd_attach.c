/* SPDX-License-Identifier: MIT */
#include "core/config.h"
#include "core/region_hooks.h"
#include "tools/attach/attach.h"
#include "tools/attach/candidate.h"
#include "tools/cmd/cmd.h"
#include "tools/run/program_file.h"
#include "tools/run/run_environment.h"
#include "tools/run/shim.h"
#include "tools/source/snapshot.h"
#include "tools/terminal/ending.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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
  const char *given = cmd_value(line, option);
  if (given == NULL)
    return true;
  g_autofree char *value = strcmp(option, "sample") == 0 ? run_environment_interval(given) : g_strdup(given);
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

/* In front of a library's functions, by pointers to these; or at the entries of the program's own. */
static void put_hooks(const struct attach_result *result, char *bytes, size_t size)
{
  struct text text = {.bytes = bytes, .capacity = size};
  bytes[0] = '\0';
  if ((result->hooks & REGION_HOOKS_OWN) == 0) {
    text_put(&text, "in front of ");
    text_put(&text, result->allocator);
    text_put(&text, result->hooks != 0 ? ", " : "");
  }
  region_hooks_put(&text, result->hooks);
}

/* 0: not known, or it was started with the library. */
static uint64_t attachments_of(int pid)
{
  struct target *target = target_find_living(pid, NULL);
  uint64_t attachments = target != NULL ? target->summary.attachments : 0;
  target_free(target);
  return attachments;
}

/* It may have ended. To be freed. */
static char *name_of(int pid)
{
  char *name = candidate_name(pid);
  return name != NULL ? name : g_strdup("process");
}

static void report(const struct attach_wish *wish, const struct attach_result *result)
{
  g_autofree char *name = name_of(wish->pid);
  struct quantity_text interval = quantity((double)result->sample_interval_bytes, "bytes");
  char hooks[ATTACHMENT_TEXT_BYTES + REGION_HOOKS_TEXT_BYTES];
  put_hooks(result, hooks, sizeof hooks);
  if (result->answer == ATTACHMENT_SETTLED)
    say("%s (%d) is sampled, every %s; it had the library already", name, wish->pid, interval.text);
  else
    say("attached to %s (%d): a sample every %s, hooks %s; one of its threads stood still for %s; what it "
        "allocated before %sis not known",
        name, wish->pid, interval.text, hooks, milliseconds(result->stood_ns).text,
        attachments_of(wish->pid) > 1 ? "the first time and while it was detached " : "");
  if (result->answer == ATTACHMENT_IN_FORCE && !result->has_file)
    say("%s (%d) can't make a state file in its folder for these: what it samples can't be read", name, wish->pid);
}

/* "; IS, not --OPTION=WISH". */
static void put_kept(GString *kept, const struct cmd_line *line, const char *option, const char *is)
{
  g_string_append_printf(kept, "%s%s, not --%s=%s", kept->len > 0 ? "; " : "", is, option, cmd_value(line, option));
}

/* What it began with stays until it ends. */
static void report_kept(const struct cmd_line *line, const struct attach_wish *wish, const struct attach_result *result)
{
  static struct config asked;
  g_autoptr(GString) kept = g_string_new("");
  g_autofree char *name = name_of(wish->pid);
  g_autofree char *depth = g_strdup_printf("at most %" PRIu64 " frames of a stack", result->depth);
  g_autofree char *seed = g_strdup_printf("seed %" PRIu64, result->seed);
  g_autofree char *interval =
      g_strdup_printf("a sample every %s", quantity((double)result->sample_interval_bytes, "bytes").text);
  for (const char *const *setting = wish->settings; *setting != NULL; setting++) {
    g_auto(GStrv) parts = g_strsplit(*setting, "=", 2);
    (void)config_set(&asked, parts[0], parts[1]);
  }
  if (cmd_has(line, "sample") && asked.sample_interval_bytes != result->sample_interval_bytes)
    put_kept(kept, line, "sample", interval);
  if (cmd_has(line, "depth") && asked.depth != result->depth)
    put_kept(kept, line, "depth", depth);
  if (cmd_has(line, "seed") && asked.seed != result->seed)
    put_kept(kept, line, "seed", seed);
  if (kept->len > 0)
    say("%s (%d) keeps what it began with: %s", name, wish->pid, kept->str);
}

/* As `heapprof run` says it. */
static void report_unseen(int pid)
{
  g_autofree char *name = name_of(pid), *file = g_strdup_printf("/proc/%d/exe", pid);
  struct program_verdict verdict;
  program_file_judge(file, &verdict);
  if (verdict.unseen != NULL)
    say("%s (%d) calls %s of a shared library: what that gives is not seen, only what malloc gives", name, pid,
        verdict.unseen);
  program_verdict_clear(&verdict);
}

/* A process that is looked at for a time, and may end meanwhile. */
struct watched {
  int pid, descriptor; /* of the process; -1: the kernel has none for it */
  char *name;
  struct target *target; /* NULL: it can't be read */
};

static struct watched watch(int pid)
{
  return (struct watched){pid, (int)syscall(SYS_pidfd_open, pid, 0), name_of(pid), target_find_living(pid, NULL)};
}

static void forget(struct watched *watched)
{
  if (watched->descriptor >= 0)
    (void)close(watched->descriptor);
  g_free(watched->name);
  target_free(watched->target);
}

static bool has_ended(const struct watched *watched)
{
  if (watched->descriptor < 0)
    return kill(watched->pid, 0) != 0 && errno == ESRCH;
  return poll(&(struct pollfd){.fd = watched->descriptor, .events = POLLIN}, 1, 0) > 0;
}

/* Until then, until it ends, or until somebody wants it to end. */
static void wait_for(const struct watched *watched, double seconds)
{
  int ending = ending_open();
  struct pollfd events[] = {{.fd = watched->descriptor, .events = POLLIN}, {.fd = ending, .events = POLLIN}};
  struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * NS_PER_S)};
  if (!has_ended(watched))
    (void)ppoll(events, G_N_ELEMENTS(events), &rest, NULL);
  if (ending >= 0) {
    (void)ending_take(ending);
    (void)close(ending);
  }
}

/* Another one may have had its number, and left a state. NULL and *error. */
static struct target *find_again(const struct watched *watched, GError **error)
{
  struct target *target = target_find(watched->pid, error);
  if (target == NULL || watched->target == NULL || target->status.st_ino == watched->target->status.st_ino)
    return target;
  target_free(target);
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "process %d has left no state", watched->pid);
  return NULL;
}

static int write_profile(const struct watched *watched, const struct cmd_line *line)
{
  struct snapshot_options options = {
      .detail = SYMBOLS_LINES, .reason = "dump", .path = cmd_value(line, "output"), .replaces = cmd_has(line, "force")};
  g_autoptr(GError) error = NULL;
  struct target *target = find_again(watched, &error);
  g_autofree char *path = target != NULL ? snapshot_write(target, &options, &error) : NULL;
  if (target == NULL && has_ended(watched))
    say("%s (%d) has ended, and took along what was sampled: there is no profile", watched->name, watched->pid);
  else if (path == NULL)
    say("%s", error->message);
  else if (strcmp(path, "-") != 0)
    put_name(path);
  target_free(target);
  return path != NULL ? EXIT_OK : EXIT_FAILED;
}

static int detach_watched(const struct attach_wish *wish, const struct watched *watched, int status)
{
  struct attach_wish end = *wish;
  struct attach_result result;
  g_autoptr(GError) error = NULL;
  end.wish = ATTACHMENT_OFF;
  if (!has_ended(watched) && attach_process(&end, &result, &error))
    return status;
  if (!has_ended(watched)) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  if (status == EXIT_OK)
    say("%s (%d) has ended before it was detached from", watched->name, watched->pid);
  return status;
}

static int profile_for(const struct attach_wish *wish, const struct cmd_line *line, double seconds)
{
  struct watched watched = watch(wish->pid);
  wait_for(&watched, seconds);
  int status = detach_watched(wish, &watched, write_profile(&watched, line));
  forget(&watched);
  return status;
}

static int run(const struct cmd_line *line)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) settings = g_ptr_array_new_with_free_func(g_free);
  struct attach_wish wish = {.wish = ATTACHMENT_ON};
  struct attach_result result;
  double seconds = 0;
  if (line->count != 1)
    return cmd_takes(line, 1, "one process");
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
  report_kept(line, &wish, &result);
  report_unseen(wish.pid);
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
    return cmd_takes(line, 1, "one process");
  if (!candidate_find(line->operands[0], &wish.pid, &error) || !attach_process(&wish, &result, &error)) {
    say("%s", error->message);
    return EXIT_FAILED;
  }
  g_autofree char *name = name_of(wish.pid);
  if (result.answer == ATTACHMENT_SETTLED && attachments_of(wish.pid) > 0)
    say("%s (%d) had been detached from already; nothing was done", name, wish.pid);
  else if (result.answer == ATTACHMENT_SETTLED)
    say("%s (%d) is not sampled any more", name, wish.pid);
  else
    say("detached from %s (%d); one of its threads stood still for %s; heapprof top %d shows what was seen", name,
        wish.pid, milliseconds(result.stood_ns).text, wish.pid);
  return finish_output(EXIT_OK);
}

static const struct cmd_option detach_options[] = {CMD_OPTIONS_END};

const struct command cmd_detach = {.name = "detach",
                                   .operands = "PID|NAME",
                                   .summary = "Take the hooks off a process that heapprof attach put them on",
                                   .options = detach_options,
                                   .run = run_detach};
