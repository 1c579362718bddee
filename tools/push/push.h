/* SPDX-License-Identifier: MIT */
/* push/: the heaps of living processes, sent to a server that keeps them, or put into a folder. What speaks HTTP is
 * linked into heapprof-push only. A failure is said once, and what could not be sent waits on disk.
 *
 * Two processes: one reads the heaps and puts them into the queue (gatherer.h), this one takes them out of it. Neither
 * ever waits for the other, and what is in the queue outlives both.
 *
 * Signals: SIGTERM, SIGINT and SIGHUP end it. Failure: an exit status, after a message.
 */
#ifndef HEAPPROF_PUSH_H
#define HEAPPROF_PUSH_H

#include <stdbool.h>
#include <stdint.h>

struct push_options {
  const char *to; /* a URL, or a folder */
  unsigned every_seconds;
  bool is_once;
  const char *queue;                                         /* NULL: where it usually is */
  uint64_t bytes_max;                                        /* in the queue; in a folder that is pushed to, as well */
  const char *const *labels;                                 /* "name=value", and NULL */
  const char *tenant, *token_file, *password_file, *ca_file; /* NULL: none */
  char *const *operands;                                     /* processes, and NULL */
};

int push_run(const struct push_options *options);

#endif
