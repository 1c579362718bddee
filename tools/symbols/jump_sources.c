/* SPDX-License-Identifier: MIT */
#include "tools/symbols/jump_sources.h"

#include "core/arch/arch.h"
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

static void add_jumps(const struct search *search, const GElf_Sym *symbol, const char *name)
{
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

static void search_symbols(const struct search *search, Elf_Scn *section, const GElf_Shdr *header)
{
  Elf_Data *data = elf_getdata(section, NULL);
  size_t count = data != NULL && header->sh_entsize > 0 ? data->d_size / header->sh_entsize : 0;
  for (size_t i = 0; i < count; i++) {
    GElf_Sym symbol;
    if (gelf_getsym(data, (int)i, &symbol) == NULL || symbol.st_shndx == SHN_UNDEF ||
        GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
      continue;
    const char *name = elf_strptr(search->elf, header->sh_link, symbol.st_name);
    if (name != NULL)
      add_jumps(search, &symbol, name);
  }
}

static void search_file(struct search *search)
{
  search->bytes = (const uint8_t *)elf_rawfile(search->elf, &search->size);
  for (Elf_Scn *section = NULL; search->bytes != NULL && (section = elf_nextscn(search->elf, section)) != NULL;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != NULL && header.sh_type == SHT_DYNSYM)
      search_symbols(search, section, &header);
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
  search_file(&search);
  object_file_close(object);
  return search.sources;
}
