/* SPDX-License-Identifier: MIT */
/* What `heapprof attach` and the library in a running process tell each other. It lies in memory of that process, which
 * the command maps, and writes and reads from outside.
 *
 * The library is called once, in one thread, by a stub that the command brings (tools/attach). Should the command be
 * killed meanwhile, the stub goes on all the same.
 *
 * Threads: one at a time; the library refuses a second one. What the library reads was written by somebody who may
 * trace the process, so it is believed; what the command reads is not.
 */
#ifndef HEAPPROF_ATTACHMENT_H
#define HEAPPROF_ATTACHMENT_H

#include <stdatomic.h>
#include <stdint.h>

/* int ATTACHMENT_FUNCTION(struct attachment *); the result means nothing. */
#define ATTACHMENT_FUNCTION heapprof_attachment
#define ATTACHMENT_FUNCTION_NAME "heapprof_attachment"

enum {
  ATTACHMENT_VERSION = 5,
  ATTACHMENT_SETTINGS_BYTES = 4096,
  ATTACHMENT_TEXT_BYTES = 256,
};

enum attachment_wish { ATTACHMENT_ON, ATTACHMENT_OFF };

enum attachment_answer {
  ATTACHMENT_NO_ANSWER,
  ATTACHMENT_NOT_NOW,  /* it may be asked again */
  ATTACHMENT_REFUSED,  /* for the reason given */
  ATTACHMENT_SETTLED,  /* it was so already */
  ATTACHMENT_IN_FORCE, /* it is so now */
};

struct attachment {
  /* By the command. */
  uint32_t version, bytes;                  /* of this structure */
  uint32_t wish;                            /* enum attachment_wish */
  char program[64];                         /* its name */
  char settings[ATTACHMENT_SETTINGS_BYTES]; /* NAME=value, each with a terminator; an empty one ends them */

  /* By the library. */
  _Atomic uint32_t answer;                     /* enum attachment_answer */
  uint32_t has_file;                           /* others can read what is sampled */
  uint32_t hooks;                              /* enum region_hooks */
  uint64_t sample_interval_bytes, depth, seed; /* what it began with */
  char reason[ATTACHMENT_TEXT_BYTES];
  char allocator[ATTACHMENT_TEXT_BYTES];
};

#endif
