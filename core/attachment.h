/* SPDX-License-Identifier: MIT */
/* What `heapprof attach` and the library in a running process tell each other. It lies in memory of that process,
 * which the command maps, and writes and reads from outside.
 *
 * The library is called in one thread, by a stub that the command brings (tools/attach): first ATTACHMENT_BEGIN,
 * which says which bytes of code are to be changed. Then the command stops all threads, makes sure that none is within
 * these bytes, and writes them. Then ATTACHMENT_END. Should the command be killed in between, the stub goes on all the
 * same, and END finds that nothing was changed.
 *
 * Threads: one at a time; the library refuses a second one. What the library reads was written by somebody who may
 * trace the process, so it is believed; what the command reads is not.
 */
#ifndef HEAPPROF_ATTACHMENT_H
#define HEAPPROF_ATTACHMENT_H

#include <stdatomic.h>
#include <stdint.h>

/* int ATTACHMENT_FUNCTION(struct attachment *, enum attachment_step); the result means nothing. */
#define ATTACHMENT_FUNCTION heapprof_attachment
#define ATTACHMENT_FUNCTION_NAME "heapprof_attachment"

enum attachment_step { ATTACHMENT_BEGIN, ATTACHMENT_END };

enum {
  ATTACHMENT_VERSION = 1,
  ATTACHMENT_CHANGES_MAX = 64,
  ATTACHMENT_CHANGE_BYTES = 32,
  ATTACHMENT_SETTINGS_BYTES = 4096,
  ATTACHMENT_TEXT_BYTES = 256,
};

/* Bytes of one function, in one page: they change in one step. */
struct attachment_change {
  uint64_t address;
  uint32_t bytes;
  uint32_t reserved;
  uint8_t now[ATTACHMENT_CHANGE_BYTES], then[ATTACHMENT_CHANGE_BYTES];
};

enum attachment_wish { ATTACHMENT_ON, ATTACHMENT_OFF };

enum attachment_answer {
  ATTACHMENT_NO_ANSWER,
  ATTACHMENT_REFUSED,     /* for the reason given */
  ATTACHMENT_READY,       /* once the changes are made */
  ATTACHMENT_SETTLED,     /* it was so already */
  ATTACHMENT_IN_FORCE,    /* END has seen that they are made */
  ATTACHMENT_NOT_CHANGED, /* END has seen that they are not */
};

struct attachment {
  /* By the command. */
  uint32_t version, bytes;                  /* of this structure */
  uint32_t wish;                            /* enum attachment_wish */
  _Atomic uint32_t is_changed;              /* 1: all changes are made */
  char program[64];                         /* its name */
  char settings[ATTACHMENT_SETTINGS_BYTES]; /* NAME=value, each with a terminator; an empty one ends them */

  /* By the library. */
  _Atomic uint32_t answer; /* enum attachment_answer */
  uint32_t change_count;
  uint64_t sample_interval_bytes;
  char reason[ATTACHMENT_TEXT_BYTES];
  char allocator[ATTACHMENT_TEXT_BYTES];
  struct attachment_change changes[ATTACHMENT_CHANGES_MAX]; /* to be made in this order */
};

#endif
