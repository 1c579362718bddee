/* SPDX-License-Identifier: MIT */
/* Hooks for functions that may come to others with hooks: the program's own calloc may call its malloc. Each of these
 * counts its request as a whole, and what it comes to inside is not counted again.
 *
 * There is a set for the allocator that the program calls by the usual names, and two for others beside it, each of
 * which has its own functions behind it.
 *
 * Threads, signals, fork: as the other hooks. Memory: what others' sets lead to is written before they are called.
 */
#ifndef HEAPPROF_HOOKS_WHOLE_H
#define HEAPPROF_HOOKS_WHOLE_H

#include "core/compiler.h"

#include <stddef.h>

/* NULL: the hook of that name will do. */
HIDDEN const void *hooks_whole_find(const char *symbol);

enum {
#define HEAPPROF_FAMILY(symbol, type, parameters) FAMILY_##symbol,
#include "interpose/patch/family.def"
#undef HEAPPROF_FAMILY
  FAMILY_FUNCTIONS,
  FAMILIES_BESIDE = 2,
};

/* A function of family.def: its name, the hook of that set, and where that looks for the function as it was. */
struct hook_beside {
  const char *symbol;
  const void *hook;
  void **real;
};

HIDDEN struct hook_beside hooks_beside(unsigned set, size_t number);

#endif
