/* SPDX-License-Identifier: MIT */
/* Looks up places in the code of one object: in its debug information, and in its symbol table what that does not tell.
 *
 * Failure: what is not found is missing in the set. Runs in the worker (symbol_worker.h): libdw may not survive the
 * file.
 */
#ifndef HEAPPROF_OBJECT_SYMBOLS_H
#define HEAPPROF_OBJECT_SYMBOLS_H

#include "tools/symbols/object_file.h"
#include "tools/symbols/symbol_set.h"

typedef void (*object_symbols_progress)(uint64_t done, uint64_t total, void *context);

/* Adds a site for each of the offsets in the file to `set`. Returns what is missing, NULL if all is there. */
char *object_symbols_find(struct object_file *object, const uint64_t *offsets, uint32_t count, struct symbol_set *set,
                          object_symbols_progress progress, void *context);

#endif
