/* SPDX-License-Identifier: MIT */
/* The symbol table of an object, for sorted addresses: .symtab of the file, else of its debug file, else .dynsym
 * with what .gnu_debugdata adds. Of several names for an address one of a symbol that covers it is taken, a global
 * one before a weak one before a local one. */
#ifndef HEAPPROF_FUNCTION_SYMBOLS_H
#define HEAPPROF_FUNCTION_SYMBOLS_H

#include "tools/symbols/object_file.h"

enum function_symbol_rank {
  FUNCTION_SYMBOL_NONE,
  FUNCTION_SYMBOL_UNSIZED,
  FUNCTION_SYMBOL_LOCAL,
  FUNCTION_SYMBOL_WEAK,
  FUNCTION_SYMBOL_GLOBAL,
};

struct function_symbol {
  const char *name; /* without version; NULL: none. The object's, or owned by `names` */
  enum function_symbol_rank rank;
  uint64_t start;
};

/* One for each address, sorted ones of the ELF file. New names go to `names`. */
struct function_symbol *function_symbols_find(const struct object_file *object, const uint64_t *addresses,
                                              uint32_t count, GStringChunk *names);

#endif
