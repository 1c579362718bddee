/* SPDX-License-Identifier: MIT */
/* Hooks for functions that may come to others with hooks: the program's own calloc may call its malloc. Each of these
 * counts its request as a whole, and what it comes to inside is not counted again. malloc and free have faster ones, by
 * which malloc may not come to others.
 *
 * There are sets of them: for the allocator that the program calls by the usual names, and for others beside it, each
 * of which has its own functions behind it (usual.def, family.def, mimalloc.def).
 *
 * Threads, signals, fork: as the other hooks. Memory: what they lead to is written before they are called.
 */
#ifndef HEAPPROF_HOOKS_WHOLE_H
#define HEAPPROF_HOOKS_WHOLE_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum {
#define HEAPPROF_FAMILY(symbol, does, size, first) FAMILY_##symbol,
#include "interpose/patch/family.def"
  FAMILY_FUNCTIONS,
  FAMILY_USUAL = FAMILY_pvalloc + 1, /* of usual.def */
  FAMILY_before_mimalloc = FAMILY_FUNCTIONS - 1,
#include "interpose/patch/mimalloc.def"
#undef HEAPPROF_FAMILY
  FAMILY_ALL,
};

enum hooks_set {
  HOOKS_OWN,   /* has what is in usual.def */
  HOOKS_FIRST, /* for any family but mimalloc's */
  HOOKS_SECOND,
  HOOKS_MIMALLOC, /* has all, others what is in family.def */
};

struct hook_whole {
  const void *hook;  /* NULL: it is called, but not hooked */
  const void *whole; /* the same, where the function comes to others; NULL: that does */
  void **real;       /* where it looks for the function as it was */
};

/* `number`: of the enum above. */
HIDDEN struct hook_whole hooks_whole(enum hooks_set set, size_t number);

/* FAMILY_ALL: there is none. */
HIDDEN size_t hooks_whole_number(const char *symbol);
HIDDEN const char *hooks_whole_symbol(size_t number);

/* Of the set of the program's own; false: the usual hook of that name will do. */
HIDDEN bool hooks_whole_find(const char *symbol, struct hook_whole *found);

#endif
