/* SPDX-License-Identifier: MIT */
#include "tools/run/elf_facts.h"

#include "core/arch/arch.h"
#include "core/linked_note.h"

#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool is_linked_note(Elf_Data *notes)
{
  GElf_Nhdr note;
  size_t name_at, text_at, next = 0;
  while ((next = gelf_getnote(notes, next, &note, &name_at, &text_at)) > 0)
    if (note.n_type == LINKED_NOTE_TYPE && note.n_namesz == sizeof LINKED_NOTE_NAME &&
        memcmp((const char *)notes->d_buf + name_at, LINKED_NOTE_NAME, sizeof LINKED_NOTE_NAME) == 0)
      return true;
  return false;
}

static void read_note(Elf *elf, const GElf_Phdr *header, struct elf_facts *facts)
{
  Elf_Data *notes = elf_getdata_rawchunk(elf, (int64_t)header->p_offset, header->p_filesz,
                                         header->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
  facts->has_library = facts->has_library || (notes != NULL && is_linked_note(notes));
}

static void read_interpreter(int descriptor, const GElf_Phdr *header, struct elf_facts *facts)
{
  char path[PATH_MAX] = "";
  if (facts->interpreter == NULL && header->p_filesz < sizeof path &&
      pread(descriptor, path, header->p_filesz, (off_t)header->p_offset) == (ssize_t)header->p_filesz)
    facts->interpreter = g_strdup(path);
}

static void read_segments(int descriptor, Elf *elf, struct elf_facts *facts)
{
  size_t count;
  GElf_Phdr header;
  if (elf_getphdrnum(elf, &count) != 0)
    return;
  for (int i = 0; i < (int)MIN(count, INT_MAX) && gelf_getphdr(elf, i, &header) != NULL; i++) {
    if (header.p_type == PT_INTERP)
      read_interpreter(descriptor, &header, facts);
    else if (header.p_type == PT_NOTE)
      read_note(elf, &header, facts);
  }
}

static void read_dynamic(Elf *elf, Elf_Data *data, const GElf_Shdr *header, struct elf_facts *facts)
{
  GElf_Dyn entry;
  for (int i = 0; gelf_getdyn(data, i, &entry) != NULL && entry.d_tag != DT_NULL; i++) {
    const char *text = NULL;
    if (entry.d_tag == DT_NEEDED || entry.d_tag == DT_SONAME)
      text = elf_strptr(elf, header->sh_link, entry.d_un.d_val);
    if (text != NULL && entry.d_tag == DT_NEEDED)
      g_ptr_array_add(facts->needed, g_strdup(text));
    else if (text != NULL && facts->soname == NULL)
      facts->soname = g_strdup(text);
  }
}

static bool is_given_to_others(const GElf_Sym *symbol)
{
  int type = GELF_ST_TYPE(symbol->st_info), binding = GELF_ST_BIND(symbol->st_info);
  return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC) &&
         (binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE) &&
         GELF_ST_VISIBILITY(symbol->st_other) != STV_HIDDEN;
}

static bool is_wanted_of_others(const GElf_Sym *symbol)
{
  return symbol->st_shndx == SHN_UNDEF && GELF_ST_BIND(symbol->st_info) == STB_GLOBAL;
}

static void read_symbols(Elf *elf, Elf_Data *data, const GElf_Shdr *header, struct elf_facts *facts)
{
  GElf_Sym symbol;
  for (int i = 0; gelf_getsym(data, i, &symbol) != NULL; i++) {
    GHashTable *names = is_given_to_others(&symbol)    ? facts->defines
                        : is_wanted_of_others(&symbol) ? facts->calls
                                                       : NULL;
    const char *name = names != NULL ? elf_strptr(elf, header->sh_link, symbol.st_name) : NULL;
    if (name != NULL)
      g_hash_table_add(names, g_strdup(name));
  }
}

static void read_sections(Elf *elf, struct elf_facts *facts)
{
  for (Elf_Scn *section = elf_nextscn(elf, NULL); section != NULL; section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == NULL || (header.sh_type != SHT_DYNAMIC && header.sh_type != SHT_DYNSYM))
      continue;
    Elf_Data *data = elf_getdata(section, NULL);
    if (data == NULL)
      continue;
    if (header.sh_type == SHT_DYNAMIC)
      read_dynamic(elf, data, &header, facts);
    else
      read_symbols(elf, data, &header, facts);
  }
}

void elf_facts_read(int descriptor, struct elf_facts *facts)
{
  *facts = (struct elf_facts){.needed = g_ptr_array_new_with_free_func(g_free),
                              .defines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                              .calls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
  (void)elf_version(EV_CURRENT);
  Elf *elf = elf_begin(descriptor, ELF_C_READ, NULL);
  GElf_Ehdr header;
  if (elf != NULL && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) != NULL) {
    facts->is_elf = true;
    facts->class = header.e_ident[EI_CLASS];
    facts->machine = header.e_machine;
    facts->is_for_us =
        facts->class == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == ARCH_ELF_MACHINE;
    read_segments(descriptor, elf, facts);
    read_sections(elf, facts);
  }
  elf_end(elf);
}

void elf_facts_clear(struct elf_facts *facts)
{
  g_free(facts->interpreter);
  g_free(facts->soname);
  g_ptr_array_unref(facts->needed);
  g_hash_table_unref(facts->defines);
  g_hash_table_unref(facts->calls);
}

bool elf_facts_needs(const struct elf_facts *facts, const char *prefix)
{
  for (guint i = 0; i < facts->needed->len; i++)
    if (g_str_has_prefix(g_ptr_array_index(facts->needed, i), prefix))
      return true;
  return false;
}

bool elf_facts_defines(const struct elf_facts *facts, const char *function)
{
  return g_hash_table_contains(facts->defines, function);
}

bool elf_facts_calls(const struct elf_facts *facts, const char *function)
{
  return g_hash_table_contains(facts->calls, function);
}
