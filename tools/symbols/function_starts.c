/* SPDX-License-Identifier: MIT */
#include "tools/symbols/function_starts.h"

#include "tools/symbols/symbol_set.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <string.h>

struct range {
  uint64_t start, limit;
};

/* --- the table in the file --- */

struct table {
  const unsigned char *ident; /* of the file */
  Elf_Data *bytes;
  uint64_t address; /* of the first byte, in the ELF file */
};

static bool find_section(Elf *elf, const char *wanted, struct table *table)
{
  size_t names;
  if (elf_getshdrstrndx(elf, &names) != 0)
    return false;
  for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section)) != NULL;) {
    GElf_Shdr header;
    const char *name = gelf_getshdr(section, &header) != NULL ? elf_strptr(elf, names, header.sh_name) : NULL;
    if (name == NULL || strcmp(name, wanted) != 0 || header.sh_type == SHT_NOBITS)
      continue;
    table->bytes = elf_rawdata(section, NULL);
    table->address = header.sh_addr;
    return table->bytes != NULL && table->bytes->d_buf != NULL;
  }
  return false;
}

/* A file may come without section headers. Then the table is taken for all that follows in its segment: it has an end
 * mark. */
static bool find_by_header(Elf *elf, struct table *table)
{
  struct table hint;
  GElf_Phdr header, segment;
  size_t count;
  uint64_t at = 0;
  if (elf_getphdrnum(elf, &count) != 0)
    return false;
  for (size_t i = 0; i < count; i++)
    if (gelf_getphdr(elf, (int)i, &header) != NULL && header.p_type == PT_GNU_EH_FRAME && header.p_filesz >= 8) {
      int32_t distance;
      hint.bytes = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, 8, ELF_T_BYTE);
      const uint8_t *start = hint.bytes != NULL ? hint.bytes->d_buf : NULL;
      if (start == NULL || start[1] != (DW_EH_PE_pcrel | DW_EH_PE_sdata4))
        return false;
      memcpy(&distance, start + 4, sizeof distance);
      at = header.p_vaddr + 4 + (uint64_t)distance;
    }
  for (size_t i = 0; i < count && at != 0; i++)
    if (gelf_getphdr(elf, (int)i, &segment) != NULL && segment.p_type == PT_LOAD && at >= segment.p_vaddr &&
        at - segment.p_vaddr < segment.p_filesz) {
      uint64_t inside = at - segment.p_vaddr;
      table->address = at;
      table->bytes =
          elf_getdata_rawchunk(elf, (int64_t)(segment.p_offset + inside), segment.p_filesz - inside, ELF_T_BYTE);
      return table->bytes != NULL && table->bytes->d_buf != NULL;
    }
  return false;
}

/* --- its entries --- */

/* Bytes of a pointer of that encoding; 0: of a kind that compilers do not write there. */
static size_t bytes_of(uint8_t encoding)
{
  switch (encoding & 0x0f) {
  case DW_EH_PE_absptr:
  case DW_EH_PE_udata8:
  case DW_EH_PE_sdata8: return 8;
  case DW_EH_PE_udata4:
  case DW_EH_PE_sdata4: return 4;
  case DW_EH_PE_udata2:
  case DW_EH_PE_sdata2: return 2;
  default: return 0;
  }
}

static uint64_t read_number(const uint8_t *bytes, uint8_t encoding)
{
  uint64_t number = 0;
  size_t size = bytes_of(encoding);
  memcpy(&number, bytes, size);
  if ((encoding & DW_EH_PE_signed) != 0 && size < sizeof number) {
    unsigned unused = 64 - 8 * (unsigned)size;
    number = (uint64_t)((int64_t)(number << unused) >> unused);
  }
  return number;
}

/* How the entries of a common part write addresses. DW_EH_PE_omit: in a way that is not understood. */
static uint8_t encoding_of(const Dwarf_CIE *common)
{
  const uint8_t *data = common->augmentation_data;
  size_t left = data != NULL ? common->augmentation_data_size : 0;
  for (const char *letter = common->augmentation; *letter != '\0'; letter++) {
    if (strchr("zSB", *letter) != NULL)
      continue;
    if (left == 0)
      return DW_EH_PE_omit;
    uint8_t byte = *data++;
    left--;
    if (*letter == 'R')
      return byte;
    size_t size = *letter == 'P' ? bytes_of(byte) : 0;
    if ((*letter == 'P' && size == 0) || (*letter != 'P' && *letter != 'L') || size > left)
      return DW_EH_PE_omit;
    data += size;
    left -= size;
  }
  return DW_EH_PE_absptr;
}

static uint8_t read_encoding(const struct table *table, uint64_t common_offset)
{
  Dwarf_CFI_Entry entry;
  Dwarf_Off next;
  if (dwarf_next_cfi(table->ident, table->bytes, true, common_offset, &next, &entry) != 0 || !dwarf_cfi_cie_p(&entry))
    return DW_EH_PE_omit;
  return encoding_of(&entry.cie);
}

static void add_function(const struct table *table, const Dwarf_FDE *entry, uint8_t encoding, GArray *functions)
{
  uint8_t from = encoding & 0x70;
  size_t size = encoding != DW_EH_PE_omit ? bytes_of(encoding) : 0;
  if (size == 0 || (encoding & DW_EH_PE_indirect) != 0 || (from != DW_EH_PE_absptr && from != DW_EH_PE_pcrel) ||
      (size_t)(entry->end - entry->start) < 2 * size)
    return;
  uint64_t start = read_number(entry->start, encoding);
  if (from == DW_EH_PE_pcrel)
    start += table->address + (uint64_t)(entry->start - (const uint8_t *)table->bytes->d_buf);
  struct range range = {start, start + read_number(entry->start + size, encoding & 0x07)};
  if (range.limit > range.start)
    g_array_append_val(functions, range);
}

static void read_functions(const struct table *table, GArray *functions)
{
  Dwarf_CFI_Entry entry;
  uint64_t common_offset = UINT64_MAX;
  uint8_t encoding = DW_EH_PE_omit;
  for (Dwarf_Off offset = 0, next = 0;; offset = next) {
    int result = dwarf_next_cfi(table->ident, table->bytes, true, offset, &next, &entry);
    if (result > 0 || next == (Dwarf_Off)-1 || next <= offset)
      return;
    if (result < 0 || dwarf_cfi_cie_p(&entry))
      continue;
    if (entry.fde.CIE_pointer != common_offset)
      encoding = read_encoding(table, common_offset = entry.fde.CIE_pointer);
    add_function(table, &entry.fde, encoding, functions);
  }
}

static gint compare_ranges(gconstpointer a, gconstpointer b)
{
  const struct range *one = a, *other = b;
  return (one->start > other->start) - (one->start < other->start);
}

/* All that the file tells of, sorted. */
static GArray *functions_of(Elf *elf)
{
  GArray *functions = g_array_new(FALSE, FALSE, sizeof(struct range));
  struct table table = {.ident = (const unsigned char *)elf_getident(elf, NULL)};
  if (find_section(elf, ".eh_frame", &table) || find_by_header(elf, &table))
    read_functions(&table, functions);
  g_array_sort(functions, compare_ranges);
  return functions;
}

/* --- code without one --- */

/* Where the section that holds the address starts, else the segment. */
static uint64_t start_of_section(Elf *elf, uint64_t address)
{
  GElf_Phdr segment;
  size_t count = 0;
  for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section)) != NULL;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != NULL && (header.sh_flags & SHF_ALLOC) != 0 && address >= header.sh_addr &&
        address - header.sh_addr < header.sh_size)
      return header.sh_addr;
  }
  (void)elf_getphdrnum(elf, &count);
  for (size_t i = 0; i < count; i++)
    if (gelf_getphdr(elf, (int)i, &segment) != NULL && segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_memsz)
      return segment.p_vaddr;
  return SYMBOL_NO_START;
}

/* How many functions start at or below the address. */
static guint functions_up_to(const GArray *functions, uint64_t address)
{
  guint low = 0, high = functions->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (g_array_index(functions, struct range, middle).start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static uint64_t start_of(Elf *elf, const GArray *functions, uint64_t address)
{
  guint before = functions_up_to(functions, address);
  const struct range *last = before > 0 ? &g_array_index(functions, struct range, before - 1) : NULL;
  if (last != NULL && address < last->limit)
    return last->start;
  uint64_t section = start_of_section(elf, address);
  return last != NULL && section != SYMBOL_NO_START ? MAX(section, last->limit) : section;
}

uint64_t *function_starts_find(const struct object_file *object, const uint64_t *addresses, uint32_t count)
{
  g_autoptr(GArray) functions = functions_of(object->elf);
  uint64_t *starts = g_new(uint64_t, count);
  for (uint32_t i = 0; i < count; i++)
    starts[i] = start_of(object->elf, functions, addresses[i]);
  return starts;
}
