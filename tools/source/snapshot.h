/* SPDX-License-Identifier: MIT */
/* The profile of a process, alive or dead, from its state: read, symbolized, written.
 *
 * Failure: NULL and *error; a profile appears whole or not at all.
 */
#ifndef HEAPPROF_SNAPSHOT_H
#define HEAPPROF_SNAPSHOT_H

#include "tools/state/targets.h"
#include "tools/symbols/symbols.h"

struct snapshot_options {
  enum region_moment moment;
  enum symbols_detail detail;
  const char *reason;
  const char *path; /* NULL: the usual name, in the current directory; "-": standard output */
  bool replaces;    /* a file at `path` may go */
};

/* Reads the state, gives names; says what is wrong with it, if it can be used all the same. NULL and *error. */
struct heap *snapshot_take(const struct target *target, const struct snapshot_options *options, GError **error);

/* The same, written. Returns the path, to be freed; NULL and *error. */
char *snapshot_write(const struct target *target, const struct snapshot_options *options, GError **error);

#endif
