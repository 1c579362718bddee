/* SPDX-License-Identifier: MIT */
/* The functions and inlined calls of a compilation unit that addresses lie in, found in one walk through its tree. */
#ifndef HEAPPROF_UNIT_SCOPES_H
#define HEAPPROF_UNIT_SCOPES_H

#include <elfutils/libdw.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { UNIT_SCOPE_NONE = -1 };

struct unit_scope {
  Dwarf_Die die;
  int32_t parent;  /* the scope that it is inlined into or nested in */
  bool is_inlined; /* else a function with code of its own */
};

struct unit_scopes {
  GArray *scopes;     /* struct unit_scope */
  int32_t *innermost; /* of each address */
};

/* `unit` is the one with the tree: of a split unit, that in the .dwo file. */
struct unit_scopes *unit_scopes_find(Dwarf_Die *unit, const uint64_t *addresses, uint32_t count);
void unit_scopes_free(struct unit_scopes *scopes);

#endif
