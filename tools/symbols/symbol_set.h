/* SPDX-License-Identifier: MIT */
/* What is known about places in the code of one file: the functions that each lies in, innermost first, with file
 * and line.
 *
 * Threads: one at a time. Memory: owned by the set, GLib's allocator.
 */
#ifndef HEAPPROF_SYMBOL_SET_H
#define HEAPPROF_SYMBOL_SET_H

#include "tools/heap/heap.h"

/* What was asked. */
enum symbol_origin {
  SYMBOL_TABLE, /* a symbol table, or debug information of which parts are missing: there may be more to know */
  SYMBOL_DEBUG, /* debug information that is all there, whether or not it knows the place */
};

/* The lines of a place, as heap_location has them. */
struct symbol_site {
  uint64_t offset; /* in the file */
  uint64_t start;  /* of a function without a name, in the ELF file; SYMBOL_NO_START: it has one, or nothing tells */
  enum symbol_origin origin;
  uint32_t first_line, line_count;
};

#define SYMBOL_NO_START UINT64_MAX

struct symbol_set {
  GArray *functions; /* struct heap_function, texts owned by the set */
  GArray *lines;     /* struct heap_line */
  GArray *sites;     /* struct symbol_site */
  GHashTable *site_index;
  GHashTable *function_index;
  GStringChunk *strings;
};

struct symbol_set *symbol_set_new(void);
void symbol_set_free(struct symbol_set *set);

/* The function with these attributes, added if it is new. Texts are copied, NULL counts as "". */
uint32_t symbol_set_function(struct symbol_set *set, struct heap_function function);

/* A place that is there already keeps what it has. */
void symbol_set_add(struct symbol_set *set, uint64_t offset, enum symbol_origin origin, const struct heap_line *lines,
                    uint32_t count);
/* The same without a name. */
void symbol_set_add_nameless(struct symbol_set *set, uint64_t offset, enum symbol_origin origin, uint64_t start);

/* NULL: nobody asked for it yet. */
const struct symbol_site *symbol_set_find(const struct symbol_set *set, uint64_t offset);

/* Adds those sites of `other` that `set` does not have and whose origin is `least` or better. */
void symbol_set_merge(struct symbol_set *set, const struct symbol_set *other, enum symbol_origin least);

/* As bytes, and back. NULL: these are no bytes of symbol_set_pack; they may come from anywhere. */
GBytes *symbol_set_pack(const struct symbol_set *set);
struct symbol_set *symbol_set_unpack(GBytes *bytes);

#endif
