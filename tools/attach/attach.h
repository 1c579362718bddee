/* SPDX-License-Identifier: MIT */
/* Attaching to a process, and detaching, from the first look to the last (docs/design.md, "Attaching").
 *
 * Failure: false and *error, one line; the process goes on as it was.
 */
#ifndef HEAPPROF_ATTACH_H
#define HEAPPROF_ATTACH_H

#include "core/attachment.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct attach_wish {
  int pid;
  enum attachment_wish wish;
  const char *library;         /* path of libheapprof.so */
  const char *const *settings; /* NAME=value, ends with NULL */
};

struct attach_result {
  enum attachment_answer answer;               /* SETTLED or IN_FORCE */
  uint64_t sample_interval_bytes, depth, seed; /* what it began with, now or before */
  bool has_file;                               /* IN_FORCE: others can read what is sampled */
  uint32_t hooks;                              /* enum region_hooks */
  char allocator[ATTACHMENT_TEXT_BYTES];
  uint64_t stood_ns; /* the thread that was borrowed; no other ever does */
};

bool attach_process(const struct attach_wish *wish, struct attach_result *result, GError **error);

#endif
