/* SPDX-License-Identifier: MIT */
/* Reads pprof profiles: ours, and any other whose values are numbers by stack; and those of legacy.h.
 *
 * The file is hostile input: truncated, inflated a thousandfold, cyclic, full of indexes that lead nowhere. What is
 * wrong makes the whole file refused, with one line that says what; no part of it is trusted unchecked. Memory is
 * bounded by a small multiple of the message's size, and that by LOAD_BYTES_MAX after inflation.
 */
#ifndef HEAPPROF_LOAD_H
#define HEAPPROF_LOAD_H

#include "tools/heap/heap.h"

/* Keeps every array of a heap below 4 GiB, which is as far as GArray goes in older GLib. */
#define LOAD_BYTES_MAX ((size_t)256 << 20)

#define LOAD_ERROR g_quark_from_static_string("heapprof-load")

/* NULL and *error. "-" is standard input. */
struct heap *load_file(const char *path, GError **error);

/* The same of bytes, gzip'd or not. */
struct heap *load_bytes(const uint8_t *bytes, size_t size, const char *name, GError **error);

#endif
