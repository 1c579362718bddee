/* SPDX-License-Identifier: MIT */
/* The library that gets preloaded: where it is, and how the dynamic linker is told.
 *
 * Failure: NULL and *error, which says where it was looked for.
 */
#ifndef HEAPPROF_SHIM_H
#define HEAPPROF_SHIM_H

#include <glib.h>

/* libheapprof.so: $HEAPPROF_LIBRARY, else beside this command, in ../lib, or where it was to be installed. NULL and
 * *error. To be freed. */
char *shim_find(GError **error);

/* A value for LD_PRELOAD: the library, then `allocator`, then what `others`, the value so far, names besides them. The
 * latter two may be NULL. NULL and *error: a path has characters that LD_PRELOAD cannot express. To be freed. */
char *shim_preload(const char *library, const char *allocator, const char *others, GError **error);

#endif
