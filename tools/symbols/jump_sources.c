/* SPDX-License-Identifier: MIT */
#include "tools/symbols/jump_sources.h"

#include "core/arch/arch.h"
#include "tools/symbols/elf_functions.h"
#include "tools/symbols/object_file.h"

#include <string.h>

/* A file, and what is looked for in it. */
struct search {
  Elf *elf;
  const uint8_t *bytes;
  size_t size;
  GHashTable *sources;
};

static void free_names(gpointer names)
{
  g_ptr_array_unref(names);
}

/* The code of a function; NULL: it is not in the file. */
static const uint8_t *code_of(const struct search *search, const GElf_Sym *symbol)
{
  size_t count = 0;
  (void)elf_getphdrnum(search->elf, &count);
  for (size_t i = 0; i < count; i++) {
    GElf_Phdr segment;
    if (gelf_getphdr(search->elf, (int)i, &segment) == NULL || segment.p_type != PT_LOAD ||
        symbol->st_value < segment.p_vaddr || symbol->st_value - segment.p_vaddr >= segment.p_filesz)
      continue;
    uint64_t inside = symbol->st_value - segment.p_vaddr;
    bool fits = symbol->st_size <= segment.p_filesz - inside && segment.p_offset <= search->size &&
                inside + symbol->st_size <= search->size - segment.p_offset;
    return fits ? search->bytes + segment.p_offset + inside : NULL;
  }
  return NULL;
}

static void add_jumps(const GElf_Sym *symbol, const char *name, void *context)
{
  const struct search *search = context;
  const uint8_t *code = code_of(search, symbol);
  uint64_t target;
  for (uint64_t at = 0; code != NULL && at < symbol->st_size; at++) {
    if (!arch_is_jump(code + at, symbol->st_size - at, symbol->st_value + at, &target))
      continue;
    GPtrArray *names = g_hash_table_lookup(search->sources, &target);
    bool is_inside = target - symbol->st_value < symbol->st_size;
    if (names != NULL && !is_inside && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
      g_ptr_array_add(names, g_strdup(name));
  }
}

GHashTable *jump_sources_find(const char *path, const char *build_id, const uint64_t *starts, uint32_t count)
{
  struct object_source source = {.root = "", .path = path, .build_id = build_id};
  struct object_file *object = object_file_open(&source, NULL);
  if (object == NULL)
    return NULL;
  struct search search = {.elf = object->elf,
                          .sources = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_names)};
  for (uint32_t i = 0; i < count; i++)
    g_hash_table_replace(search.sources, g_memdup2(&starts[i], sizeof starts[i]),
                         g_ptr_array_new_with_free_func(g_free));
  search.bytes = (const uint8_t *)elf_rawfile(search.elf, &search.size);
  if (search.bytes != NULL)
    elf_functions_each(search.elf, SHT_DYNSYM, add_jumps, &search);
  object_file_close(object);
  return search.sources;
}
