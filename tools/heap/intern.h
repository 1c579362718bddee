/* SPDX-License-Identifier: MIT */
/* Texts and functions of which equal ones are kept once: those of a heap, and those of a symbol set.
 *
 * An index goes with one array of functions, and that with one chunk of strings, where equal text is equal pointer.
 *
 * Threads: one at a time. Memory: owned by the caller, GLib's allocator.
 */
#ifndef HEAPPROF_INTERN_H
#define HEAPPROF_INTERN_H

#include "tools/heap/function.h"

#include <glib.h>

/* The copy in `strings`. NULL counts as "". Bytes that are not UTF-8 are replaced. */
const char *intern_text(GStringChunk *strings, const char *text);

/* The same function, its texts in `strings`. */
struct heap_function intern_texts(GStringChunk *strings, struct heap_function function);

/* Of functions by their four attributes; for g_hash_table_destroy. */
GHashTable *intern_index_new(void);

/* The place in `functions` of this function, added if it is new. Its texts are copied. */
uint32_t intern_function(GHashTable *index, GArray *functions, GStringChunk *strings, struct heap_function function);

#endif
