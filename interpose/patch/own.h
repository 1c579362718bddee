/* SPDX-License-Identifier: MIT */
/* The allocator that the program has for its own: its executable defines malloc, so no call of the program comes to
 * ours by name. The hooks are put at the entries of the functions themselves (patch.h).
 *
 * The family is what the executable exports of the names in hooks.def; what it lacks stays with the library behind us,
 * and is not counted, as what frees that may be anybody's. One of its functions may be made of others: calloc and
 * realloc are counted as one request in any case, malloc may not come to another one.
 *
 * Threads: from the constructor, before there are others. Signals: blocked meanwhile. Failure: a reason; all calls go
 * where they went.
 */
#ifndef HEAPPROF_OWN_H
#define HEAPPROF_OWN_H

#include "core/compiler.h"

/* `file`: where the executable can be read; `path`: what to call it, and stays. NULL: the hooks are called. */
HIDDEN const char *own_take_over(const char *file, const char *path);

#endif
