/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"
#include "tools/heap/save.h"
#include "tools/source/merged.h"
#include "tools/terminal/say.h"

#include <string.h>
#include <unistd.h>

static int run(const struct cmd_line *line)
{
  const char *output = cmd_has(line, "output") ? cmd_value(line, "output") : "-";
  if (line->count == 0)
    return cmd_takes(line, 0, "profiles");
  if (strcmp(output, "-") == 0 && isatty(STDOUT_FILENO))
    return cmd_misused(line, "a profile is not for a terminal: name a file with -o");
  g_autoptr(GError) error = NULL;
  struct heap *heap = merged_of_files(line->operands, (guint)line->count, &error);
  if (heap == NULL) {
    say("%s; nothing is written", error->message);
    return EXIT_FAILED;
  }
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
