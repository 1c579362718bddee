/* SPDX-License-Identifier: MIT */
#include "core/command_line.h"

#include "core/region_format.h"
#include "core/text.h"

static char line[COMMAND_BYTES];

void command_line_keep(char *const *arguments)
{
  struct text text = TEXT_INIT(line);
  for (unsigned i = 0; arguments[i] != NULL && !text.cut; i++) {
    text_put(&text, i > 0 ? " " : "");
    text_put(&text, arguments[i]);
  }
  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < ' ')
      *c = ' ';
}

const char *command_line(void)
{
  return line;
}
