/* SPDX-License-Identifier: MIT */
/* Options of the commands that look at a heap: what of it counts, and for whom. */
#ifndef HEAPPROF_FILTER_OPTIONS_H
#define HEAPPROF_FILTER_OPTIONS_H

#include "tools/cmd/cmd.h"
#include "tools/filter/filter.h"

/* clang-format off */
#define FILTER_OPTIONS \
  {"leaf", 0, NULL, "count for the innermost function, as pprof does, not for the owner"}, \
  {"plumbing", 0, "REGEX", "what matches only allocates for its callers, who own it"}
/* clang-format on */

/* What they ask for. False after a message. */
bool filter_options(const struct cmd_line *line, struct filter **filter);

#endif
