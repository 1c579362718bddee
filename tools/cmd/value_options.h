/* SPDX-License-Identifier: MIT */
/* Options of the commands that look at a heap: which of its values. */
#ifndef HEAPPROF_VALUE_OPTIONS_H
#define HEAPPROF_VALUE_OPTIONS_H

#include "tools/cmd/cmd.h"
#include "tools/state/region_heap.h"

/* clang-format off */
#define VALUE_OPTIONS \
  {"sample-index", 0, "TYPE", "one of {inuse,peak,alloc}_{space,objects}; default: inuse_space"}, \
  {"peak", 0, NULL, "what was in use at the peak, as --sample-index=peak_space"}
#define MAPPED_OPTION {"mmap", 0, NULL, "what the program mapped itself (mmap, mremap, sbrk), instead of its heap"}
/* clang-format on */

/* False after a message: they contradict each other. */
bool value_options_agree(const struct cmd_line *line);

/* What --mmap and --peak ask for, which cannot be both: false after a message. */
bool value_options_moment_agrees(const struct cmd_line *line);
enum region_moment value_options_moment(const struct cmd_line *line);

/* The name of the type that is asked for; NULL: the default one. */
const char *value_options_type(const struct cmd_line *line);

#endif
