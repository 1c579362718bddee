/* SPDX-License-Identifier: MIT */
#include "tools/cmd/value_options.h"

#include "tools/heap/heap.h"

bool value_options_agree(const struct cmd_line *line)
{
  if (!cmd_has(line, "peak") || !cmd_has(line, "sample-index"))
    return true;
  (void)cmd_misused(line, "--peak means --sample-index=" HEAP_PEAK_SPACE ", and there is --sample-index=%s as well",
                    cmd_value(line, "sample-index"));
  return false;
}

const char *value_options_type(const struct cmd_line *line)
{
  return cmd_has(line, "peak") ? HEAP_PEAK_SPACE : cmd_value(line, "sample-index");
}

bool value_options_moment_agrees(const struct cmd_line *line)
{
  if (!cmd_has(line, "peak") || !cmd_has(line, "mmap"))
    return true;
  (void)cmd_misused(line, "--peak is of the heap, and --mmap of what is mapped beside it: choose one");
  return false;
}

enum region_moment value_options_moment(const struct cmd_line *line)
{
  if (cmd_has(line, "mmap"))
    return REGION_MAPPED;
  return cmd_has(line, "peak") ? REGION_PEAK : REGION_NOW;
}
