/* SPDX-License-Identifier: MIT */
/* Conditions of recorded processes, and the profiles that are kept when they come true: of each condition and program
 * the first, the largest and the last few. While a condition holds, another is kept where its value has become a tenth
 * larger than it was at the last.
 *
 * Failure: false and *error, of the file. What cannot be told of a process does not hold, which a line says.
 */
#ifndef HEAPPROF_WATCH_H
#define HEAPPROF_WATCH_H

#include "tools/record/recorder.h"

struct watch;

/* Conditions (struct condition) and how many of the last are kept. */
struct watch *watch_new(const GArray *conditions, unsigned last);
void watch_free(struct watch *watch);

/* Looks at the last moment of a process, in the transaction that stored it. */
bool watch_check(struct watch *watch, struct recorder *recorder, int64_t process, int pid, const char *program,
                 GError **error);

/* What was kept may not have been stored. */
void watch_forget(struct watch *watch);

#endif
