/* SPDX-License-Identifier: MIT */
/* The allocator that the program has for its own: its executable defines malloc, so no call of the program comes to
 * ours by name. The hooks are put at the entries of the functions themselves (patch.h).
 *
 * The family is what the executable exports of the names in hooks.def; what it lacks stays with the library behind us,
 * and is not counted, as what frees that may be anybody's. One of its functions may be made of others: calloc and
 * realloc are counted as one request in any case, malloc may not come to another one.
 *
 * Threads: from the constructor, before there are others; or, in a process that has been running, from whoever
 * attaches: then the hooks are called once running.h puts them there, and know the real functions before. Signals:
 * blocked meanwhile. Failure: a reason; all calls go where they went.
 */
#ifndef HEAPPROF_OWN_H
#define HEAPPROF_OWN_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* `path`: of the executable; `file`: the same, or another name of it. NULL: the hooks are called. */
HIDDEN const char *own_take_over(const char *path, const char *file);

/* Does that function of the executable have one of these hooks? */
HIDDEN bool own_has_hook(const uint8_t *function);

#endif
