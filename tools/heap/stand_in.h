/* SPDX-License-Identifier: MIT */
/* Names of places in the code that nobody has a name for. A function is called after its file and the address that it
 * starts at there, "libfoo.so.1+0x1f0b0", so that it is the same in every process; where that is unknown, after the
 * file: "[libfoo.so.1]", "[anon]" for code without one.
 *
 * They are told from other names by the mapping of the place, so that better ones can take their place.
 */
#ifndef HEAPPROF_STAND_IN_H
#define HEAPPROF_STAND_IN_H

#include "tools/heap/heap.h"

/* New strings. */
char *stand_in_for_mapping(const char *path);
char *stand_in_for_function(const char *path, uint64_t start);

/* Is it such a name of a function of that file? */
bool stand_in_start(const char *name, const char *path, uint64_t *start);

/* Is all that is known of the place a stand-in, or nothing? */
bool stand_in_is_all(const struct heap *heap, const struct heap_location *location);

#endif
