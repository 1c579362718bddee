/* SPDX-License-Identifier: MIT */
/* What came of limits as a JUnit file, which servers that run tests show: a test case for each limit, a failure for one
 * that is broken, an error for one that could not be checked.
 *
 * Failure: false and *error; no file is left half. What is there already is replaced only if it is empty or such a file
 * of ours.
 */
#ifndef HEAPPROF_JUNIT_H
#define HEAPPROF_JUNIT_H

#include "tools/views/limit.h"

struct junit {
  const char *path;
  const char *command; /* "run", "diff" */
  const char *subject; /* what was judged: a program, two profiles */
};

/* Can it be written? To be asked before the work. */
bool junit_is_writable(const char *path, GError **error);

bool junit_write(const struct junit *junit, const GArray *outcomes, GError **error);

#endif
