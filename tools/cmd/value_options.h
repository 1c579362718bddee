/* SPDX-License-Identifier: MIT */
/* Options of the commands that look at a heap: which of its values. */
#ifndef HEAPPROF_VALUE_OPTIONS_H
#define HEAPPROF_VALUE_OPTIONS_H

#include "tools/cmd/cmd.h"

/* clang-format off */
#define VALUE_OPTIONS \
  {"sample-index", 0, "TYPE", "one of {inuse,peak,alloc}_{space,objects}; default: inuse_space"}, \
  {"peak", 0, NULL, "what was in use at the peak, as --sample-index=peak_space"}
/* clang-format on */

/* False after a message: they contradict each other. */
bool value_options_agree(const struct cmd_line *line);

/* The name of the type that is asked for; NULL: the default one. */
const char *value_options_type(const struct cmd_line *line);

#endif
