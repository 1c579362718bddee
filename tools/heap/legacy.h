/* SPDX-License-Identifier: MIT */
/* Reads the heap profiles that others write as text: jemalloc's (heap_v2), gperftools' (heap, heap_v2, heapprofile,
 * growth), Go's (debug=1), and those of Google's Java agent. Counts become estimates as their makers say
 * (legacy_estimate.h). Types are those that pprof gives them: "objects" and "space", or the usual four where what was
 * freed is told as well.
 *
 * Names are those that stand in the text (Go, Java); for the rest there are the mapped files. Frames of a preloaded
 * allocator's own library are left out, so that the leaf is its caller.
 *
 * The text is hostile input as for load.h: what is wrong makes all of it refused, with one line that says where.
 *
 * Failure: NULL and *error.
 */
#ifndef HEAPPROF_LEGACY_H
#define HEAPPROF_LEGACY_H

#include "tools/heap/heap.h"

#define LEGACY_ERROR g_quark_from_static_string("heapprof-legacy")

/* Does it begin as one of them does? */
bool legacy_is_profile(const uint8_t *bytes, size_t size);

struct heap *legacy_load(const uint8_t *bytes, size_t size, const char *name, GError **error);

#endif
