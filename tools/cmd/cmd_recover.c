/* SPDX-License-Identifier: MIT */
#include "tools/cmd/value_options.h"
#include "tools/source/snapshot.h"
#include "tools/source/source.h"
#include "tools/terminal/say.h"
#include "tools/views/target_table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct job {
  struct snapshot_options snapshot;
  bool keeps, is_dry;
};

/* What was written may not be on the disk yet: the state file stays until it is. */
static bool is_stored(const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  bool stored = fsync(fd) == 0 || errno == EINVAL;
  (void)close(fd);
  return stored;
}

/* False: the profile is written, but its state could not be removed as it should be. */
static bool give_up_state(const struct target *target, const char *path)
{
  g_autoptr(GError) error = NULL;
  if (!is_stored(path)) {
    say_errno(errno, "%s may not be stored; the state stays in %s", path, target->path);
    return false;
  }
  bool removed = target_remove(target, &error);
  if (!removed)
    say("%s", error->message);
  return removed;
}

static bool recover(const struct target *target, const struct job *job)
{
  g_autoptr(GError) error = NULL;
  if (job->is_dry) {
    put_name(target->path);
    return true;
  }
  g_autofree char *path = snapshot_write(target, &job->snapshot, &error);
  if (path == NULL) {
    say("%s; the state stays in %s", error->message, target->path);
    return false;
  }
  if (strcmp(path, "-") == 0) /* nobody knows what becomes of it */
    return true;
  put_name(path);
  return job->keeps || give_up_state(target, path);
}

static struct target *find_dead(const char *operand, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct target *target = source_find_process(operand, &problem);
  if (target == NULL && problem == NULL)
    return target_of_file(operand, error);
  if (target == NULL)
    g_propagate_error(error, g_steal_pointer(&problem));
  if (target == NULL || !target->is_alive)
    return target;
  int pid = target->pid;
  g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE, "process %d runs: heapprof dump %d writes its profile", pid,
              pid);
  target_free(target);
  return NULL;
}

static bool recover_operand(const char *operand, const struct job *job)
{
  g_autoptr(GError) error = NULL;
  struct target *target = find_dead(operand, &error);
  if (target == NULL) {
    say("%s", error->message);
    return false;
  }
  bool recovered = recover(target, job);
  target_free(target);
  return recovered;
}

static GPtrArray *scan_dead(void)
{
  g_autoptr(GPtrArray) unreadable = g_ptr_array_new_with_free_func(g_free);
  GPtrArray *targets = targets_scan(unreadable);
  for (guint i = 0; i < unreadable->len; i++)
    say("%s", (const char *)g_ptr_array_index(unreadable, i));
  for (guint i = targets->len; i-- > 0;)
    if (((const struct target *)g_ptr_array_index(targets, i))->is_alive)
      g_ptr_array_remove_index(targets, i);
  if (targets->len == 0)
    say("no process has ended and left its state behind");
  return targets;
}

static int recover_all(const struct job *job)
{
  g_autoptr(GPtrArray) targets = scan_dead();
  int status = EXIT_OK;
  for (guint i = 0; i < targets->len; i++)
    if (!recover(g_ptr_array_index(targets, i), job))
      status = EXIT_FAILED;
  return finish_output(status);
}

static int list(void)
{
  g_autoptr(GPtrArray) targets = scan_dead();
  if (targets->len > 0) {
    target_table_print(targets);
    say("heapprof recover PID writes the profile of one, heapprof recover --all of each");
  }
  return finish_output(EXIT_OK);
}

static int run(const struct cmd_line *line)
{
  struct job job = {.snapshot = {.moment = value_options_moment(line),
                                 .detail = SYMBOLS_LINES,
                                 .reason = "recover",
                                 .path = cmd_value(line, "output"),
                                 .replaces = cmd_has(line, "force")},
                    .keeps = cmd_has(line, "keep") || cmd_has(line, "mmap"), /* the heap is there, too */
                    .is_dry = cmd_has(line, "dry-run")};
  bool is_all = cmd_has(line, "all");
  if (!value_options_moment_agrees(line))
    return EXIT_USAGE;
  if (is_all && line->count > 0)
    return cmd_misused(line, "--all means every one, and there is '%s' as well", line->operands[0]);
  if (job.snapshot.path != NULL && (is_all || line->count != 1))
    return cmd_misused(line, "--output names one file, for one process");
  if (is_all)
    return recover_all(&job);
  if (line->count == 0)
    return list();
  int status = EXIT_OK;
  for (int i = 0; i < line->count; i++)
    if (!recover_operand(line->operands[i], &job))
      status = EXIT_FAILED;
  return finish_output(status);
}

static const struct cmd_option options[] = {
    {.name = "all", .letter = 'a', .help = "every process that has ended and left its state"},
    {.name = "output",
     .letter = 'o',
     .argument = "FILE",
     .help = "write there; - is standard output, and keeps the state"},
    {.name = "force", .letter = 'f', .help = "replace FILE if it exists"},
    {.name = "keep", .letter = 'k', .help = "leave the state where it is"},
    {.name = "dry-run", .letter = 'n', .help = "print the state files that would be read and removed; do nothing"},
    MAPPED_OPTION,
    {.name = "peak", .help = "what was in use when most was, instead of at the end"},
    CMD_OPTIONS_END,
};

const struct command cmd_recover = {.name = "recover",
                                    .operands = "[PID|NAME|FILE]...",
                                    .summary = "Write the profiles of processes that were killed",
                                    .options = options,
                                    .run = run};
