/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/state/state_files.h"
#include "tools/terminal/say.h"
#include "tools/views/target_table.h"

static void say_each(const GPtrArray *lines)
{
  for (guint i = 0; i < lines->len; i++)
    say("%s", (const char *)g_ptr_array_index(lines, i));
}

/* False: one that should have gone is still there. */
static bool remove_one(const struct target *target)
{
  g_autoptr(GError) error = NULL;
  bool removed = target_remove(target, &error);
  if (removed)
    say("removed %s: %s, process %d, %s; it held %" G_GUINT64_FORMAT " samples", target->path, target->summary.program,
        target->pid, target->is_replaced ? "runs another program by now" : "has ended", target->summary.samples);
  else
    say("%s", error->message);
  return removed;
}

/* Takes those that were removed off the list. */
static bool clean(GPtrArray *targets)
{
  bool all = true;
  for (guint i = targets->len; i-- > 0;) {
    const struct target *target = g_ptr_array_index(targets, i);
    if (target->is_alive)
      continue;
    if (remove_one(target))
      g_ptr_array_remove_index(targets, i);
    else
      all = false;
  }
  g_autoptr(GPtrArray) folders = state_files_remove_empty_folders();
  for (guint i = 0; i < folders->len; i++)
    say("removed the empty folder %s", (const char *)g_ptr_array_index(folders, i));
  return all;
}

/* Those that live come first, else the order stays. */
static GPtrArray *living_first(GPtrArray *targets, bool wants_dead)
{
  GPtrArray *sorted = g_ptr_array_new();
  for (int pass = 0; pass < (wants_dead ? 2 : 1); pass++)
    for (guint i = 0; i < targets->len; i++)
      if (((const struct target *)g_ptr_array_index(targets, i))->is_alive == (pass == 0))
        g_ptr_array_add(sorted, g_ptr_array_index(targets, i));
  return sorted;
}

static int run(const struct cmd_line *line)
{
  if (line->count > 0)
    return cmd_misused(line, "ls takes no operands, and there is '%s'", line->operands[0]);
  g_autoptr(GPtrArray) unreadable = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) targets = targets_scan(unreadable);
  say_each(unreadable);
  int status = cmd_has(line, "clean") && !clean(targets) ? EXIT_FAILED : EXIT_OK;
  g_autoptr(GPtrArray) shown = living_first(targets, !cmd_has(line, "live"));
  if (cmd_has(line, "json"))
    target_table_print_json(shown);
  else if (shown->len > 0)
    target_table_print(shown);
  else if (targets->len > 0)
    say("no profiled process runs; heapprof ls shows what those that have ended left behind");
  else if (!cmd_has(line, "clean"))
    say("no profiled process, and no state of one that has ended; heapprof run -- COMMAND starts one");
  return finish_output(status);
}

static const struct cmd_option options[] = {
    {.name = "json", .help = "print a JSON array with everything that is known of each"},
    {.name = "live", .letter = 'l', .help = "only those that run"},
    {.name = "clean", .help = "remove the state of processes that have ended; what it held is lost"},
    CMD_OPTIONS_END,
};

const struct command cmd_ls = {.name = "ls",
                               .operands = "",
                               .summary = "List profiled processes, and what those that have ended left behind",
                               .options = options,
                               .run = run};
