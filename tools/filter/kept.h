/* SPDX-License-Identifier: MIT */
/* What the run-time libraries keep to the end of a program (kept.def): buffers of stdio, a time zone, what dlopen
 * notes. A stack is theirs where nothing but they is between the allocator and such a function, or where all of it is
 * theirs, as a constructor's of libstdc++.
 *
 * Limit: where libc's own functions have no names (neither debug information nor a symbol table is installed), some of
 * what getaddrinfo and iconv_open keep is not told from what belongs to their caller.
 */
#ifndef HEAPPROF_KEPT_H
#define HEAPPROF_KEPT_H

#include "tools/heap/heap.h"

#include <stdbool.h>

/* A library that keeps something, by its path; a function of such a one that does, by its name. */
bool kept_is_library(const char *path);
bool kept_is_keeper(const char *name);

/* By sample of a heap whose functions have their roles (plumbing.h). To be freed. */
bool *kept_of(const struct heap *heap);

#endif
