/* SPDX-License-Identifier: MIT */
#include "core/comments.h"
#include "tools/cmd/cmd.h"
#include "tools/heap/combine.h"
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/terminal/say.h"

#include <string.h>
#include <unistd.h>

/* Two profiles of one process hold the same allocations. */
static void warn_of_double_count(GHashTable *processes, const struct heap *heap)
{
  const char *pid = heap_comment(heap, COMMENT_pid), *created = heap_comment(heap, COMMENT_created_unix_ns);
  if (pid == NULL || created == NULL || heap_comment(heap, COMMENT_merged) != NULL)
    return;
  g_autofree char *process = g_strconcat(pid, " ", created, NULL);
  const char *earlier = g_hash_table_lookup(processes, process);
  if (earlier != NULL)
    say("%s and %s are of one process, %s: what both hold is counted twice", earlier, heap->name, pid);
  g_hash_table_insert(processes, g_steal_pointer(&process), g_strdup(heap->name));
}

static bool add_file(struct combiner *combiner, const char *path, GHashTable *processes)
{
  g_autoptr(GError) error = NULL;
  struct heap *heap = load_file(path, &error);
  bool is_added = heap != NULL && combiner_add(combiner, heap, &error);
  if (is_added)
    warn_of_double_count(processes, heap);
  else
    say("%s; nothing is written", error->message);
  heap_free(heap);
  return is_added;
}

/* NULL after a message. */
static struct heap *merge(const struct cmd_line *line)
{
  struct combiner *combiner = combiner_new();
  g_autoptr(GHashTable) processes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  bool is_whole = true;
  for (int i = 0; i < line->count && is_whole; i++) {
    say_progress("merging", (uint64_t)i, (uint64_t)line->count);
    is_whole = add_file(combiner, line->operands[i], processes);
  }
  say_progress("merging", 1, 1);
  struct heap *heap = combiner_end(combiner);
  if (is_whole)
    return heap;
  heap_free(heap);
  return NULL;
}

static int run(const struct cmd_line *line)
{
  const char *output = cmd_has(line, "output") ? cmd_value(line, "output") : "-";
  if (line->count == 0)
    return cmd_misused(line, "merge needs the names of profiles");
  if (strcmp(output, "-") == 0 && isatty(STDOUT_FILENO))
    return cmd_misused(line, "a profile is not for a terminal: name a file with -o");
  g_autoptr(GError) error = NULL;
  struct heap *heap = merge(line);
  if (heap == NULL)
    return EXIT_FAILED;
  bool is_saved = (cmd_has(line, "force") ? save_replacing : save_new)(heap, output, &error);
  if (!is_saved)
    say("%s", error->message);
  heap_free(heap);
  return is_saved ? EXIT_OK : EXIT_FAILED;
}

static const struct cmd_option options[] = {CMD_OPTION_OUTPUT, CMD_OPTION_FORCE, CMD_OPTIONS_END};

const struct command cmd_merge = {.name = "merge",
                                  .operands = "FILE...",
                                  .summary = "Add up profiles, stack by stack: of several processes, hosts or runs",
                                  .options = options,
                                  .run = run};
