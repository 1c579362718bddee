/* SPDX-License-Identifier: MIT */
/* Options of the commands that look at a heap: what of it counts, and for whom. */
#ifndef HEAPPROF_FILTER_OPTIONS_H
#define HEAPPROF_FILTER_OPTIONS_H

#include "tools/cmd/cmd.h"
#include "tools/filter/filter.h"

/* clang-format off */
#define FILTER_OPTIONS \
  {"leaf", 0, NULL, "count for the innermost function, as pprof does, not for the owner"}, \
  {"plumbing", 0, "REGEX", "what matches only allocates for its callers, who own it"}, \
  {"focus", 0, "REGEX", "only stacks with a function that matches"}, \
  {"ignore", 0, "REGEX", "only stacks without one that matches"}, \
  {"hide", 0, "REGEX", "leave out functions that match"}, \
  {"show", 0, "REGEX", "leave out all other functions"}, \
  {"show-from", 0, "REGEX", "begin stacks at the outermost function that matches"}, \
  {"tagfocus", 0, "TAG", "only stacks with a label that matches: REGEX, KEY=REGEX, 4kb:, KEY=4kb:1mb"}, \
  {"tagignore", 0, "TAG", "only stacks without one that matches"}
/* clang-format on */

/* What they ask for. False after a message. */
bool filter_options(const struct cmd_line *line, struct filter **filter);

#endif
