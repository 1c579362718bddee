/* SPDX-License-Identifier: MIT */
/* Names of functions of a module, from the file that it was loaded from: under its path, or, where that is gone or
 * another file by now, as the kernel still has it for this process. What no symbol names has a stand-in, which
 * tools/heap/stand_in.h knows and lets better names take the place of: "libfoo.so.1+0x1f0b0", after the file and where
 * the function starts in it; "[libfoo.so.1]" where that is unknown.
 *
 * Threads, signals, memory: as elfsym.h. Failure: names stay NULL.
 */
#ifndef HEAPPROF_MODULE_NAMES_H
#define HEAPPROF_MODULE_NAMES_H

#include "core/elfsym.h"
#include "core/region_format.h"

/* `path` is that of the module as readers will see it. Queries are sorted by address; each gets a name. */
void module_names_find(const struct module_record *module, const char *path, struct elfsym_query *queries, size_t count,
                       struct arena *arena);

/* For code of which only the mapping is known: "[libfoo.so.1]", "[anon]". */
const char *module_names_stand_in(const char *path, struct arena *arena);

#endif
