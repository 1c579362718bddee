/* SPDX-License-Identifier: MIT */
/* A loaded object, as its program headers and its dynamic section describe it. For callbacks of loader_each, during
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
  const uint32_t *sysv_hash;
  const uint16_t *versions;
};

/* False: it has no dynamic section. */
bool object_read(const struct dl_phdr_info *info, struct object *object);

/* The same of the loader's list, without its segments. False: it has no symbols. */
bool object_read_map(const struct link_map *map, struct object *object);

/* glibc. */
bool object_is_libc(const struct object *object);

bool object_holds(const struct object *object, uintptr_t address);

/* The address that an entry of its dynamic section holds. */
const void *object_at(const struct object *object, const ElfW(Dyn) * entry);

/* A name to look for in many objects. */
struct object_query {
  const char *symbol;
  uint32_t gnu_hash;
};

struct object_query object_query(const char *symbol);

/* What a look-up by name finds in the object: its current version, of any kind, also a function chosen by a call. */
const ElfW(Sym) * object_export(const struct object *object, const struct object_query *query);

/* The address of what the object exports under that name; NULL: nothing that is simply there. */
void *object_find(const struct object *object, const char *symbol);

/* Does it want that symbol of another object, as far as its tables tell? Where they do not tell, it may: true. */
bool object_imports(const struct object *object, const char *symbol);

/* Is `other` a library that the object was linked with? */
bool object_needs(const struct object *object, const struct object *other);

#endif
