/* SPDX-License-Identifier: MIT */
/* What a recorder watches for: "inuse>2G", "growth>100M/10m", "cgroup>90%", "psi>10%".
 *
 * Memory: conditions refer to the texts that they were read from.
 */
#ifndef HEAPPROF_CONDITION_H
#define HEAPPROF_CONDITION_H

#include <glib.h>
#include <stdint.h>

enum condition_kind {
  CONDITION_INUSE,  /* bytes in use */
  CONDITION_GROWTH, /* how many more they are than so long ago */
  CONDITION_CGROUP, /* percent of what the process's control group may use */
  CONDITION_PSI,    /* percent of the last 10 s that something waited for memory, there or in the machine */
};

struct condition {
  const char *text;
  enum condition_kind kind;
  double bound;
  int64_t window_ns; /* of growth */
};

/* struct condition, for all of `texts`, which ends with NULL. NULL after a message. */
GArray *conditions_read(const char *const *texts);

#endif
