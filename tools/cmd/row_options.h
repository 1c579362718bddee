/* SPDX-License-Identifier: MIT */
/* Options of the commands that show a table: how many rows, and what a row is. */
#ifndef HEAPPROF_ROW_OPTIONS_H
#define HEAPPROF_ROW_OPTIONS_H

#include "tools/cmd/cmd.h"
#include "tools/views/rows.h"

/* clang-format off */
#define ROW_OPTION_ROWS {"rows", 'n', "N", "show N rows; 0: all (default: what fits the terminal, else 30)"}
#define ROW_OPTION_LINES {"lines", 'l', NULL, "a row per line of source instead of per function"}
/* clang-format on */

/* The value of --rows, UINT32_MAX for all. False after a message. */
bool row_options_limit(const struct cmd_line *line, uint32_t *count);

/* What --lines asks for. */
enum rows_by row_options_by(const struct cmd_line *line);

#endif
