/* SPDX-License-Identifier: MIT */
/* What `heapprof recording` does: it tells what a recording has, or writes a moment of it as a profile.
 *
 * Failure: an exit status, after a message.
 */
#ifndef HEAPPROF_RECORDING_H
#define HEAPPROF_RECORDING_H

#include <stdbool.h>

/* What of it: the list, a profile, or, for programs, JSON. */
struct recording_options {
  const char *path;
  const char *process, *time; /* of struct recorded_words; or "kept:N" */
  const char *output;         /* of a profile; "-": standard output; NULL: none is written */
  bool replaces;
  bool lists_as_json; /* contents.h */
  bool has_timeline;  /* past.h */
};

int recording_run(const struct recording_options *options);

#endif
