/* SPDX-License-Identifier: MIT */
#include "tools/cmd/filter_options.h"

bool filter_options(const struct cmd_line *line, struct filter **filter)
{
  struct filter_texts texts = {
      .plumbing = cmd_value(line, "plumbing"),
      .has_no_owners = cmd_has(line, "leaf"),
  };
  *filter = filter_new(&texts);
  return *filter != NULL;
}
