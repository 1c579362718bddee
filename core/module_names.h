/* SPDX-License-Identifier: MIT */
/* Names of functions of a module, from the file that it was loaded from: under its path, or, where that is gone or
 * another file by now, as the kernel still has it for this process.
 *
 * Threads, signals, memory, failure: as elfsym.h.
 */
#ifndef HEAPPROF_MODULE_NAMES_H
#define HEAPPROF_MODULE_NAMES_H

#include "core/elfsym.h"
#include "core/region_format.h"

#include <stdbool.h>

struct module_names {
  enum elfsym_table table;
  bool is_elsewhere; /* at the path is another file now: nobody may take names from it */
};

/* `path` is that of the module as readers will see it. Queries are sorted by address. */
struct module_names module_names_find(const struct module_record *module, const char *path,
                                      struct elfsym_query *queries, size_t count, struct arena *arena);

#endif
