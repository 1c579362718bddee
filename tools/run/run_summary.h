/* SPDX-License-Identifier: MIT */
/* What `heapprof run` says at the end, on standard error.
 *
 * Failure: a profile that cannot be read again is named without its numbers.
 */
#ifndef HEAPPROF_RUN_SUMMARY_H
#define HEAPPROF_RUN_SUMMARY_H

#include "tools/run/collect.h"
#include "tools/run/tree_peak.h"

struct run_result {
  const struct collection *collection;
  const char *name;        /* of the program, as it was given */
  bool is_profiled;        /* false: that it cannot be was said at the start */
  const char *sample;      /* how often, by somebody's choice; NULL: by nobody's */
  bool follows;            /* programs that it executed are profiled, too */
  int wait_status;         /* of the program */
  uint64_t resident_bytes; /* see child.h */
  gint64 started_ns;       /* output_clock_ns */
  int64_t oom_kills;       /* before it was started */
  const struct tree_peak *tree_peak;
  const char *merged; /* the file with the sum of all profiles, NULL: there is none */
};

/* What went wrong, who still runs; then, unless that is not wanted, some lines: peak, in use, resident, where, files,
 * what to type next. Of several processes they are about the one with the highest peak, between the peak of all of them
 * together and a table. */
void run_summary_print(const struct run_result *result, bool is_quiet);

#endif
