/* SPDX-License-Identifier: MIT */
/* Hooks for functions that may come to others with hooks: the program's own calloc may call its malloc. Each of these
 * counts its request as a whole, and what it comes to inside is not counted again.
 *
 * Threads, signals, fork: as the other hooks.
 */
#ifndef HEAPPROF_HOOKS_WHOLE_H
#define HEAPPROF_HOOKS_WHOLE_H

#include "core/compiler.h"

/* NULL: the hook of that name will do. */
HIDDEN const void *hooks_whole_find(const char *symbol);

#endif
