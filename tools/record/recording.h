/* SPDX-License-Identifier: MIT */
/* What `heapprof recording` does: it tells what a recording has, or writes a moment of it as a profile.
 *
 * Failure: an exit status, after a message.
 */
#ifndef HEAPPROF_RECORDING_H
#define HEAPPROF_RECORDING_H

#include <stdbool.h>

int recording_list(const char *path);

struct recording_options {
  const char *path;
  const char *process, *time; /* of struct recorded_words; or "kept:N" */
  const char *output;         /* "-": standard output */
  bool replaces;
};

int recording_export(const struct recording_options *options);

#endif
