/* SPDX-License-Identifier: MIT */
/* Why threads could not be led away, in rounds in which each of them is tried: what is said of that in the end.
 *
 * One thread. Memory: a reason is kept as a text of its own; there are few different ones.
 */
#ifndef HEAPPROF_ATTACH_REASONS_H
#define HEAPPROF_ATTACH_REASONS_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct reasons;

struct reasons *reasons_new(void);
void reasons_free(struct reasons *reasons);

/* Threads that are not tried any more have ended, and count no longer. */
void reasons_begin_round(struct reasons *reasons);

/* A reason of the moment tells less, and takes the place of no other one. */
void reasons_note(struct reasons *reasons, pid_t thread, const char *why, bool is_of_moment);

/* Of the last round: the two that most threads have, and of how many threads. To be freed. */
char *reasons_text(const struct reasons *reasons);

#endif
