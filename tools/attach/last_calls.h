/* SPDX-License-Identifier: MIT */
/* Functions of a library that have no name, and are come to only from functions of certain names: by their last call,
 * a jump, after which only the function without a name is on the stack (sem_wait waits in such a one).
 *
 * Read from the code, at each byte, and from the data: whatever could be a way to a function counts as one, so that
 * none is overlooked. What a function is given the address of is a way, too.
 */
#ifndef HEAPPROF_LAST_CALLS_H
#define HEAPPROF_LAST_CALLS_H

#include "tools/attach/image.h"

struct last_calls;

/* Never NULL; of a library that is unlike others, none. */
struct last_calls *last_calls_read(const struct memory *memory, const struct image *image,
                                   bool (*is_one)(const char *name));
void last_calls_free(struct last_calls *calls);

/* Is this in a function that only those lead to? */
bool last_calls_hold(const struct last_calls *calls, uint64_t pc);

#endif
