/* SPDX-License-Identifier: MIT */
#include "tools/symbols/function_symbols.h"

#include "tools/symbols/sorted.h"

#include <string.h>

/* What core/elfsym.c takes, so that a profile keeps its names when it is symbolized. */
enum { UNSIZED_REACH_BYTES = 4096 };

static enum function_symbol_rank rank_of(const GElf_Sym *symbol)
{
  int type = GELF_ST_TYPE(symbol->st_info);
  bool is_function = type == STT_FUNC || type == STT_GNU_IFUNC;
  if (symbol->st_shndx == SHN_UNDEF || (!is_function && !(type == STT_NOTYPE && symbol->st_size == 0)))
    return FUNCTION_SYMBOL_NONE;
  if (symbol->st_size == 0)
    return FUNCTION_SYMBOL_UNSIZED;
  switch (GELF_ST_BIND(symbol->st_info)) {
  case STB_GLOBAL: return FUNCTION_SYMBOL_GLOBAL;
  case STB_WEAK: return FUNCTION_SYMBOL_WEAK;
  default: return FUNCTION_SYMBOL_LOCAL;
  }
}

/* `elf`: the file whose symbol it is. */
static uint64_t reach_of(const GElf_Sym *symbol, Elf *elf)
{
  GElf_Shdr section;
  if (symbol->st_size > 0)
    return symbol->st_size;
  if (gelf_getshdr(elf_getscn(elf, symbol->st_shndx), &section) == NULL)
    return UNSIZED_REACH_BYTES;
  uint64_t left = section.sh_addr + section.sh_size - symbol->st_value;
  return MIN(left, UNSIZED_REACH_BYTES);
}

static void match(const GElf_Sym *symbol, Elf *elf, uint64_t start, const char *name, struct function_symbol *symbols,
                  const uint64_t *addresses, uint32_t count)
{
  enum function_symbol_rank rank = rank_of(symbol);
  if (rank == FUNCTION_SYMBOL_NONE || name == NULL || name[0] == '\0')
    return;
  uint64_t reach = reach_of(symbol, elf);
  for (uint32_t i = sorted_lower_bound(addresses, count, start); i < count && addresses[i] - start < reach; i++) {
    bool is_nearer = rank == FUNCTION_SYMBOL_UNSIZED && start > symbols[i].start;
    if (rank > symbols[i].rank || (rank == symbols[i].rank && is_nearer))
      symbols[i] = (struct function_symbol){name, rank, start};
  }
}

/* "operator new@@GLIBCXX_3.4" */
static void cut_versions(struct function_symbol *symbols, uint32_t count, GStringChunk *names)
{
  for (uint32_t i = 0; i < count; i++) {
    const char *version = symbols[i].name != NULL ? strchr(symbols[i].name, '@') : NULL;
    if (version != NULL && version > symbols[i].name)
      symbols[i].name = g_string_chunk_insert_len(names, symbols[i].name, version - symbols[i].name);
  }
}

struct function_symbol *function_symbols_find(const struct object_file *object, const uint64_t *addresses,
                                              uint32_t count, GStringChunk *names)
{
  struct function_symbol *symbols = g_new0(struct function_symbol, count);
  int symbol_count = dwfl_module_getsymtab(object->module);
  for (int i = 0; i < symbol_count; i++) {
    GElf_Sym symbol;
    GElf_Addr value;
    Elf *elf = NULL;
    const char *name = dwfl_module_getsym_info(object->module, i, &symbol, &value, NULL, &elf, NULL);
    if (name != NULL)
      match(&symbol, elf, value - object->elf_bias, name, symbols, addresses, count);
  }
  cut_versions(symbols, count, names);
  return symbols;
}
