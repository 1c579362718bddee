/* SPDX-License-Identifier: MIT */
/* Types in debug information as demangled names write them, without template arguments: "char const*". */
#ifndef HEAPPROF_TYPE_NAMES_H
#define HEAPPROF_TYPE_NAMES_H

#include "tools/symbols/die_parents.h"

#include <glib.h>

/* Appends the type of a parameter of `function`; "auto:1" where that is a template and the type is its argument. */
void type_names_append(GString *text, struct die_parents *parents, Dwarf_Die *parameter, Dwarf_Die *function);

#endif
