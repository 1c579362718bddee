/* SPDX-License-Identifier: MIT */
/* Allocators in the executable that the hooks are not in front of by their names: hooks are put at their entries
 * (patch/). Where the library is linked into the program (linked/entries.c) that is the linker's to do.
 * In one that has other libraries it cannot do it, and nothing comes to the hooks.
 *
 * From the constructor only; in a process that has been running, from who attaches to it.
 */
#ifndef HEAPPROF_ENTRIES_H
#define HEAPPROF_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

/* NULL: what the program calls comes to the hooks. A reason: nothing does. `is_announced`: what was left alone is told.
 */
const char *entries_take_over(const char *executable, bool is_announced);

/* In a process that has been running: makes hooks ready for the entries of what its executable has, if any, and changes
 * nothing that runs. Once; a reason: the program's own malloc can't have them. */
const char *entries_prepare_late(const char *executable);

/* Flags of enum region_hooks, of what was made ready. */
uint32_t entries_late_hooks(void);

/* What is sampled may be of several allocators. */
bool entries_are_beside(void);

#endif
