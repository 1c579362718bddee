/* SPDX-License-Identifier: MIT */
/* The locks of the dynamic linker of another process: three in a row (of the list of objects, of walks through it,
 * of what threads have of each), in the structure that it shares with libc. Who opens a library takes them, and
 * whoever waits there for a thread that opens one waits for ever.
 *
 *  * Failure: 0 where they are not found beyond doubt; then nobody may be led into dlopen.
 */
#ifndef HEAPPROF_LOADER_LOCKS_H
#define HEAPPROF_LOADER_LOCKS_H

#include "tools/attach/image.h"

/* Where they are; `loader` is its image. */
uint64_t loader_locks_find(const struct image *loader, const struct memory *memory);

uint64_t loader_locks_of_walks(uint64_t locks);

/* Who holds one of the first two, by the number that the process itself knows; 0: nobody. */
pid_t loader_locks_holder(uint64_t locks, const struct memory *memory);

#endif
