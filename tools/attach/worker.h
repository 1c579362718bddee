/* SPDX-License-Identifier: MIT */
/* A child of this command that holds threads of others, so that somebody can end it: a thread that executes a program
 * holds up who wants to trace another thread of that process, while it waits for threads whose end only their tracer
 * can take note of. When the child is killed, the kernel lets all go on.
 *
 * What the child is to hand over lies in memory that both see. Signals: as the caller has them; the child ends with its
 * parent. Failure: false, if it was ended, or does not come to its end as it should.
 */
#ifndef HEAPPROF_ATTACH_WORKER_H
#define HEAPPROF_ATTACH_WORKER_H

#include <stdbool.h>
#include <stddef.h>

/* NULL: there is none. Zeroed. */
void *worker_share(size_t bytes);

/* Runs `work` in the child, and waits for its end. A kill that was not ours is passed on: this process ends by it. */
bool worker_run(void (*work)(void *context), void *context);

#endif
