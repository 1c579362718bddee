/* SPDX-License-Identifier: MIT */
/* What `heapprof record` does: it looks at processes again and again, and stores what it sees.
 *
 * Signals: SIGTERM, SIGINT and SIGHUP end it, between two moments. Failure: an exit status, after a message.
 */
#ifndef HEAPPROF_RECORD_H
#define HEAPPROF_RECORD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct record_options {
  const char *path;
  int64_t every_ns, keep_ns;
  uint64_t size_bytes;
  uint64_t moments;         /* so many, then it ends; 0: without end */
  char *const *operands;    /* processes, and NULL; none: all */
  const GArray *conditions; /* struct condition */
  unsigned last;            /* how many profiles of each are kept beside the first and the largest */
};

int record_run(const struct record_options *options);

#endif
