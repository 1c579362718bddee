/* SPDX-License-Identifier: MIT */
/* The loader that brought the library in, and what it tells of the objects that it has loaded. In a statically linked
 * program (linked/loader.c) there is none: the program is the only object.
 *
 * Threads: loader_find and loader_each take the loader's lock. Signals: not from handlers. Memory: loader_find may
 * allocate for what is not there. Fork: nothing special. Failure: NULL or false.
 */
#ifndef HEAPPROF_LOADER_H
#define HEAPPROF_LOADER_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* False: it is neither glibc's nor musl's, so nothing else here may be asked. */
bool loader_is_known(void);

/* The kernel tells the address of the loader that it brought in: 0 where it was told to run the loader itself, with the
 * program as its argument. glibc's has then put the program where the kernel noted the loader. */
bool loader_was_started(void);

/* What the program would find under that name. NULL: it is nowhere, or nobody can be asked. */
void *loader_find(const char *symbol);

/* The file by which LD_PRELOAD names the library. NULL: not known. */
const char *loader_own_path(void);

/* The first object of its list, the program; NULL: unknown. */
const struct link_map *loader_first_map(void);

/* Whether that list is whole (RT_CONSISTENT), as musl notes it; NULL: another libc. */
const int *loader_state(void);

/* dl_iterate_phdr, past whoever interposes it: a sanitizer's crashes before the sanitizer is ready. False: it cannot be
 * found. */
typedef int loader_visitor(struct dl_phdr_info *info, size_t size, void *argument);
bool loader_each(loader_visitor *visit, void *argument);

#endif
