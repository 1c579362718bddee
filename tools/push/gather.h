/* SPDX-License-Identifier: MIT */
/* Reads processes into the queue, round after round: what each has allocated since it was read last, and what it has in
 * use. What cannot be put in (the queue or the disk is full) is not lost: the marks stay what they were, so the next
 * profile that can has it.
 *
 * A process that has ended and left its state is read a last time.
 *
 * Where somebody removes the queue beneath, the marks are still known: it goes on in the one that is there then.
 *
 * Failure: said once, until it is over; a round says whether there was one.
 */
#ifndef HEAPPROF_GATHER_H
#define HEAPPROF_GATHER_H

#include "tools/push/queue.h"
#include "tools/scrape/served.h"

enum { GATHER_FAILURES_MAX = 2 }; /* then it is left out */

struct gather_options {
  struct queue *queue;
  char *const *operands; /* processes, and NULL */
  GTree *labels;         /* that were given */
  GHashTable *failures;  /* pid -> how often who read it failed */
  bool is_once;          /* there is one round; who is missing in it is a failure */
  bool says_missing;     /* in the first round */
};

struct gather;

struct gather *gather_new(const struct gather_options *options);
void gather_free(struct gather *gather);

/* `announce` is told whose turn it is, and 0 at the end. False: something is not in the queue that should be. */
bool gather_round(struct gather *gather, void (*announce)(int pid, void *context), void *context);

#endif
