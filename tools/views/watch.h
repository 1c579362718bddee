/* SPDX-License-Identifier: MIT */
/* heapprof top of a process on a terminal: the table, again every second. */
#ifndef HEAPPROF_WATCH_H
#define HEAPPROF_WATCH_H

#include "tools/filter/filter.h"
#include "tools/views/rows.h"

struct watch_options {
  int pid;
  const char *type; /* name of a sample type; NULL: the default */
  enum rows_by by;
  enum rows_order order;
  uint32_t rows_max;
  const struct filter *filter; /* NULL: none */
};

/* Can what standard output is be drawn on? */
bool watch_is_possible(void);

/* Until somebody quits. The exit status. */
int watch_run(const struct watch_options *options);

#endif
