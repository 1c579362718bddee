/* SPDX-License-Identifier: MIT */
#include "tools/attach/image.h"

#include <elf.h>
#include <string.h>

enum { SEGMENTS_MAX = 64, DYNAMIC_MAX = 512, SYMBOLS_MAX = 1 << 20, NAME_MAX_BYTES = 256, BUCKETS_MAX = 1 << 20 };

struct tables {
  uint64_t symbols, strings, strings_bytes, hash, old_hash; /* 0: there is none */
  uint64_t name;                                            /* in the strings */
  GArray *needed;                                           /* uint64_t, in the strings */
};

static void clear_symbol(void *symbol)
{
  g_free(((struct image_symbol *)symbol)->name);
}

void image_free(struct image *image)
{
  if (image == NULL)
    return;
  g_array_free(image->symbols, TRUE);
  g_ptr_array_free(image->needed, TRUE);
  g_free(image->name);
  g_free(image);
}

static bool read_tables(const struct memory *memory, const struct image *image, uint64_t dynamic, struct tables *tables)
{
  for (unsigned i = 0; i < DYNAMIC_MAX; i++) {
    Elf64_Dyn entry;
    if (!memory_read(memory, dynamic + i * sizeof entry, &entry, sizeof entry))
      return false;
    uint64_t address = entry.d_un.d_ptr < image->bias ? entry.d_un.d_ptr + image->bias : entry.d_un.d_ptr;
    switch (entry.d_tag) {
    case DT_NULL: return tables->symbols != 0 && tables->strings != 0 && (tables->hash != 0 || tables->old_hash != 0);
    case DT_SYMTAB: tables->symbols = address; break;
    case DT_STRTAB: tables->strings = address; break;
    case DT_STRSZ: tables->strings_bytes = entry.d_un.d_val; break;
    case DT_GNU_HASH: tables->hash = address; break;
    case DT_HASH: tables->old_hash = address; break;
    case DT_SONAME: tables->name = entry.d_un.d_val; break;
    case DT_NEEDED: g_array_append_val(tables->needed, entry.d_un.d_val); break;
    default: break;
    }
  }
  return false;
}

/* The older table has a chain for each symbol. */
static uint32_t count_by_old_hash(const struct memory *memory, const struct tables *tables)
{
  uint32_t header[2];
  return memory_read(memory, tables->old_hash, header, sizeof header) && header[1] <= SYMBOLS_MAX ? header[1] : 0;
}

/* The table of hashes ends with the last symbol that others may use. */
static uint32_t count_symbols(const struct memory *memory, const struct tables *tables)
{
  uint32_t header[4], last = 0, link = 0;
  if (tables->hash == 0)
    return count_by_old_hash(memory, tables);
  if (!memory_read(memory, tables->hash, header, sizeof header) || header[0] == 0 || header[0] > BUCKETS_MAX)
    return 0;
  uint64_t buckets_at = tables->hash + sizeof header + (uint64_t)header[2] * sizeof(uint64_t);
  g_autofree uint32_t *buckets = g_new(uint32_t, header[0]);
  if (!memory_read(memory, buckets_at, buckets, header[0] * sizeof *buckets))
    return 0;
  for (uint32_t i = 0; i < header[0]; i++)
    last = MAX(last, buckets[i]);
  if (last < header[1])
    return header[1];
  uint64_t chain = buckets_at + header[0] * sizeof *buckets;
  for (; last < SYMBOLS_MAX; last++) {
    if (!memory_read(memory, chain + (uint64_t)(last - header[1]) * sizeof link, &link, sizeof link))
      return 0;
    if ((link & 1) != 0)
      return last + 1;
  }
  return 0;
}

static int compare_symbols(const void *a, const void *b)
{
  const struct image_symbol *one = a, *other = b;
  return (one->start > other->start) - (one->start < other->start);
}

static void add_symbol(struct image *image, const Elf64_Sym *symbol, const char *strings, uint64_t strings_bytes)
{
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  bool is_any = type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC;
  if (!is_any || symbol->st_shndx == SHN_UNDEF || symbol->st_name >= strings_bytes)
    return;
  const char *name = strings + symbol->st_name;
  struct image_symbol added = {.start = image->bias + symbol->st_value,
                               .bytes = symbol->st_size,
                               .name = g_strndup(name, strnlen(name, strings_bytes - symbol->st_name))};
  g_array_append_val(image->symbols, added);
}

static char *base_name_at(const char *strings, uint64_t strings_bytes, uint64_t at)
{
  g_autofree char *name =
      at < strings_bytes ? g_strndup(strings + at, strnlen(strings + at, strings_bytes - at)) : g_strdup("");
  return g_path_get_basename(name);
}

static void note_names(struct image *image, const struct tables *tables, const char *strings)
{
  if (tables->name != 0) {
    g_free(image->name);
    image->name = base_name_at(strings, tables->strings_bytes, tables->name);
  }
  for (guint i = 0; i < tables->needed->len; i++)
    g_ptr_array_add(image->needed,
                    base_name_at(strings, tables->strings_bytes, g_array_index(tables->needed, uint64_t, i)));
}

static bool read_symbols(const struct memory *memory, struct image *image, uint64_t dynamic)
{
  enum { STRINGS_MAX = 64 << 20 };
  g_autoptr(GArray) needed = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  struct tables tables = {.needed = needed};
  uint32_t count = read_tables(memory, image, dynamic, &tables) ? count_symbols(memory, &tables) : 0;
  if (count == 0 || tables.strings_bytes == 0 || tables.strings_bytes > STRINGS_MAX)
    return false;
  g_autofree Elf64_Sym *symbols = g_new(Elf64_Sym, count);
  g_autofree char *strings = g_malloc(tables.strings_bytes);
  if (!memory_read(memory, tables.symbols, symbols, count * sizeof *symbols) ||
      !memory_read(memory, tables.strings, strings, tables.strings_bytes))
    return false;
  for (uint32_t i = 0; i < count; i++)
    add_symbol(image, &symbols[i], strings, tables.strings_bytes);
  g_array_sort(image->symbols, compare_symbols);
  note_names(image, &tables, strings);
  return true;
}

static bool read_segments(const struct memory *memory, struct image *image, uint64_t start, uint64_t *dynamic)
{
  Elf64_Ehdr header;
  Elf64_Phdr segments[SEGMENTS_MAX];
  if (!memory_read(memory, start, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phnum > SEGMENTS_MAX ||
      !memory_read(memory, start + header.e_phoff, segments, header.e_phnum * sizeof *segments))
    return false;
  uint64_t low = UINT64_MAX, high = 0, at = 0;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    if (segments[i].p_type == PT_DYNAMIC)
      at = segments[i].p_vaddr;
    if (segments[i].p_type != PT_LOAD)
      continue;
    low = MIN(low, segments[i].p_vaddr);
    high = MAX(high, segments[i].p_vaddr + segments[i].p_memsz);
  }
  if (low >= high)
    return false;
  image->start = start;
  image->bias = start - (low & ~UINT64_C(4095));
  image->limit = image->bias + high;
  *dynamic = at != 0 ? image->bias + at : 0;
  return at != 0;
}

struct image *image_read(const struct memory *memory, uint64_t start)
{
  struct image *image = g_new0(struct image, 1);
  const struct memory_mapping *mapping = memory_mapping_at(memory, start);
  uint64_t dynamic;
  image->name = g_path_get_basename(mapping != NULL ? mapping->path : "");
  image->needed = g_ptr_array_new_with_free_func(g_free);
  image->symbols = g_array_new(FALSE, TRUE, sizeof(struct image_symbol));
  g_array_set_clear_func(image->symbols, clear_symbol);
  if (read_segments(memory, image, start, &dynamic) && read_symbols(memory, image, dynamic))
    return image;
  image_free(image);
  return NULL;
}

const struct image_symbol *image_find_symbol(const struct image *image, const char *name)
{
  for (guint i = 0; i < image->symbols->len; i++)
    if (strcmp(g_array_index(image->symbols, struct image_symbol, i).name, name) == 0)
      return &g_array_index(image->symbols, struct image_symbol, i);
  return NULL;
}

uint64_t image_find(const struct image *image, const char *name)
{
  const struct image_symbol *symbol = image_find_symbol(image, name);
  return symbol != NULL ? symbol->start : 0;
}

const char *image_name_at(const struct image *image, uint64_t address, guint *from)
{
  for (guint i = *from; i < image->symbols->len; i++) {
    const struct image_symbol *symbol = &g_array_index(image->symbols, struct image_symbol, i);
    if (symbol->start > address)
      break;
    if (address - symbol->start < symbol->bytes) {
      *from = i + 1;
      return symbol->name;
    }
  }
  return NULL;
}

uint64_t image_find_code(const struct image *image, const struct memory *memory, const void *bytes, size_t size)
{
  for (guint i = 0; i < memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(memory->mappings, struct memory_mapping, i);
    if (!mapping->is_executable || !image_holds(image, mapping->start))
      continue;
    g_autofree char *code = g_malloc(mapping->limit - mapping->start);
    if (!memory_read(memory, mapping->start, code, mapping->limit - mapping->start))
      continue;
    const char *found = memmem(code, mapping->limit - mapping->start, bytes, size);
    if (found != NULL)
      return mapping->start + (uint64_t)(found - code);
  }
  return 0;
}
