/* SPDX-License-Identifier: MIT */
/* The allocators that `heapprof run --allocator` puts under a program.
 *
 * Failure: NULL and *error, which says where it was looked for.
 */
#ifndef HEAPPROF_ALLOCATORS_H
#define HEAPPROF_ALLOCATORS_H

#include <glib.h>
#include <stdbool.h>

/* "jemalloc, tcmalloc, mimalloc": what allocators_is_name accepts. */
#define ALLOCATORS_NAMES "jemalloc, tcmalloc, mimalloc"

/* Is it one of those names, or a path (it has a slash)? */
bool allocators_accepts(const char *given);

/* The library: where the dynamic linker finds it by itself, or at the path given if that is a library with malloc.
 * NULL and *error, which names what to install. To be freed. */
char *allocators_find(const char *given, GError **error);

#endif
