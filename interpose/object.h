/* SPDX-License-Identifier: MIT */
/* A loaded object, as its program headers and its dynamic section describe it. For callbacks of dl_iterate_phdr, during
 * which no object goes; what was read stays good as long as the object is loaded.
 *
 * Threads, signals, fork: it only reads. Failure: what is not there is empty, and nothing is found in it.
 */
#ifndef HEAPPROF_OBJECT_H
#define HEAPPROF_OBJECT_H

#include "core/compiler.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object {
  const char *name;
  uintptr_t bias;
  const ElfW(Phdr) * segments;
  unsigned segment_count;
  const ElfW(Dyn) * dynamic;
  const char *strings;
  const ElfW(Sym) * symbols;
  const uint32_t *gnu_hash;
};

/* False: it has no dynamic section. */
bool object_read(const struct dl_phdr_info *info, struct object *object);

bool object_holds(const struct object *object, uintptr_t address);

/* The address that an entry of its dynamic section holds. */
const void *object_at(const struct object *object, const ElfW(Dyn) * entry);

/* The address of what the object exports under that name; NULL: nothing that is simply there. */
void *object_find(const struct object *object, const char *symbol);

/* Is `other` a library that the object was linked with? */
bool object_needs(const struct object *object, const struct object *other);

#endif
