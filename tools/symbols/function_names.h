/* SPDX-License-Identifier: MIT */
/* Names of functions in debug information: demangled linkage names, and for functions that have none (static ones,
 * lambdas) their symbols or the names of what they are declared in. A C function is called by its exported symbol:
 * the debug information of libc has only what it calls it itself. */
#ifndef HEAPPROF_FUNCTION_NAMES_H
#define HEAPPROF_FUNCTION_NAMES_H

#include "tools/symbols/function_symbols.h"

#include <elfutils/libdw.h>
#include <glib.h>
#include <stdint.h>

struct function_name {
  const char *name;        /* "" if it has none */
  const char *system_name; /* mangled */
  int64_t start_line;      /* of its declaration, 0 if unknown */
};

struct function_names;

struct function_names *function_names_new(void);
void function_names_free(struct function_names *names);

/* Of a function, with its symbol, or of an inlined call, with NULL. The name stays valid as long as `names`. */
const struct function_name *function_names_get(struct function_names *names, Dwarf_Die *die,
                                               const struct function_symbol *symbol);

#endif
