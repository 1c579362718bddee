/* SPDX-License-Identifier: MIT */
/* The other threads of a process, while one is borrowed: does one of them wait in a handler of a signal that
 * interrupted it where it may hold a lock? It may wait there for the borrowed thread, as where a collector stops the
 * world, and then the lock is never given back. Any other that has such a lock runs on.
 *
 * /proc tells where a thread sleeps; that it is in a handler is seen by the address that the handler returns to, which
 * lies on its stack. Only such a thread is stopped for a moment, and one that runs all the time.
 */
#ifndef HEAPPROF_ATTACH_OTHERS_H
#define HEAPPROF_ATTACH_OTHERS_H

#include "tools/attach/places.h"

struct others;

/* The memory and the places must live as long. Kept from one look to the next, as more is known then. */
struct others *others_new(const struct memory *memory, struct places *places);
void others_free(struct others *others);

/* Before any thread is stopped: so there is less to do while one stands still. */
void others_look_ahead(struct others *others);

/* NULL: none of them is, nor will be by what `borrowed` has done, which stands still. Else why it can't be told, or
 * which one. The text lives on. */
const char *others_why_not(struct others *others, pid_t borrowed);

#endif
