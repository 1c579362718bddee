/* SPDX-License-Identifier: MIT */
/* Allocators in the executable that the hooks are not in front of by their names: hooks are put at their entries
 * (patch/). Where the library is linked into the program (linked/entries.c) that is the linker's to do.
 * In one that has other libraries it cannot do it, and nothing comes to the hooks.
 *
 * From the constructor only.
 */
#ifndef HEAPPROF_ENTRIES_H
#define HEAPPROF_ENTRIES_H

#include <stdbool.h>

/* NULL: what the program calls comes to the hooks. A reason: nothing does. `is_announced`: what was left alone is told.
 */
const char *entries_take_over(const char *executable, bool is_announced);

/* What is sampled may be of several allocators. */
bool entries_are_beside(void);

#endif
