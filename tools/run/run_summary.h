/* SPDX-License-Identifier: MIT */
/* What `heapprof run` says at the end, on standard error.
 *
 * Failure: a profile that cannot be read again is named without its numbers.
 */
#ifndef HEAPPROF_RUN_SUMMARY_H
#define HEAPPROF_RUN_SUMMARY_H

#include "tools/run/collect.h"

struct run_result {
  const struct collection *collection;
  const char *name;        /* of the program, as it was given */
  bool is_profiled;        /* false: that it cannot be was said at the start */
  bool has_sample;         /* somebody chose how often */
  int wait_status;         /* of the program */
  uint64_t resident_bytes; /* see child.h */
  gint64 started_ns;       /* output_clock_ns */
};

/* What went wrong, who still runs; then, unless that is not wanted, five lines: peak, in use, where, files, what to
 * type next. They are about the program, or of its descendants the one with most samples if the program has no
 * profile. */
void run_summary_print(const struct run_result *result, bool is_quiet);

#endif
