/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"

bool filter_options(const struct cmd_line *line, struct filter **filter)
{
  struct filter_texts texts = {
      .focus = cmd_value(line, "focus"),
      .ignore = cmd_value(line, "ignore"),
      .hide = cmd_value(line, "hide"),
      .show = cmd_value(line, "show"),
      .show_from = cmd_value(line, "show-from"),
      .tag_focus = cmd_value(line, "tagfocus"),
      .tag_ignore = cmd_value(line, "tagignore"),
      .plumbing = cmd_value(line, "plumbing"),
      .has_no_owners = cmd_has(line, "leaf"),
  };
  *filter = filter_new(&texts);
  return *filter != NULL;
}
