/* SPDX-License-Identifier: MIT */
/* Names of lambdas in debug information, which gcc leaves without: "{lambda(int)#1}", as its symbols have them. They
 * are counted in each function, class or namespace, in the order of the source.
 *
 * Memory: names stay valid as long as the closures.
 */
#ifndef HEAPPROF_CLOSURES_H
#define HEAPPROF_CLOSURES_H

#include "tools/symbols/die_parents.h"

struct closures;

/* `parents` must live longer. */
struct closures *closures_new(struct die_parents *parents);
void closures_free(struct closures *closures);

/* Of a type. NULL: it is not the type of a lambda. */
const char *closures_name(struct closures *closures, Dwarf_Die *type);

#endif
