/* SPDX-License-Identifier: MIT */
/* A profiled process that is read again and again. Names are looked up once per address.
 *
 * Failure: NULL and *error; names that cannot be found are not looked for again.
 */
#ifndef HEAPPROF_ATTACHED_H
#define HEAPPROF_ATTACHED_H

#include "tools/heap/heap.h"

struct attached;

struct attached *attached_new(int pid);
void attached_free(struct attached *attached);

/* Its profile now, as source_open would give it; of a dead process the last words. NULL and *error, also
 * when it has ended and nothing is left. `is_alive` is set when there is a profile. */
struct heap *attached_read(struct attached *attached, bool *is_alive, GError **error);

#endif
