/* SPDX-License-Identifier: MIT */
#include "tools/cmd/row_options.h"

#include "tools/terminal/say.h"

enum { ROWS_ON_A_PIPE = 30, LINES_AROUND_TABLE = 9, ROWS_MIN = 5 };

bool row_options_limit(const struct cmd_line *line, uint32_t *count)
{
  int height = terminal_height(stdout);
  uint64_t fallback = height > 0 ? (uint64_t)MAX(height - LINES_AROUND_TABLE, ROWS_MIN) : ROWS_ON_A_PIPE, number;
  if (!cmd_number(line, "rows", 0, UINT32_MAX, fallback, &number))
    return false;
  *count = number > 0 ? (uint32_t)number : UINT32_MAX;
  return true;
}

enum rows_by row_options_by(const struct cmd_line *line)
{
  return cmd_has(line, "lines") ? ROWS_BY_LINE : ROWS_BY_FUNCTION;
}
