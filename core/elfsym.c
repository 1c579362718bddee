/* SPDX-License-Identifier: MIT */
#include "core/elfsym.h"

#include "core/build_id.h"
#include "core/compiler.h"
#include "core/descriptor.h"
#include "core/sys.h"

#include <elf.h>
#include <string.h>

enum {
  SECTIONS_MAX = 1 << 16,
  SECTIONS_AT_A_TIME = 48,
  FEW_SYMBOLS_BYTES = 256 << 10,
  NAME_MAX_BYTES = 8 << 10,
  NOTES_MAX_BYTES = 4096,
  UNSIZED_REACH_BYTES = 4096, /* how far the code of a symbol without a size may reach */
};

static bool read_exactly(int fd, uint64_t offset, void *bytes, size_t size)
{
  return sys_pread(fd, bytes, size, offset) == (long)size;
}

struct elf_file {
  int fd;
  Elf64_Ehdr header;
  Elf64_Shdr sections[SECTIONS_AT_A_TIME]; /* of them the ones from first_section on */
  unsigned first_section, section_count;
};

/* One call reads all that most files have. */
static bool read_sections(struct elf_file *file, unsigned first)
{
  unsigned left = file->header.e_shnum - first, count = left < SECTIONS_AT_A_TIME ? left : SECTIONS_AT_A_TIME;
  uint64_t offset;
  if (__builtin_add_overflow(file->header.e_shoff, first * sizeof *file->sections, &offset))
    return false;
  long size = sys_pread(file->fd, file->sections, count * sizeof *file->sections, offset);
  file->first_section = first;
  file->section_count = size > 0 ? (unsigned)((size_t)size / sizeof *file->sections) : 0;
  return file->section_count > 0;
}

static bool read_section(struct elf_file *file, unsigned index, Elf64_Shdr *section)
{
  if (index >= file->header.e_shnum)
    return false;
  bool is_there = index >= file->first_section && index - file->first_section < file->section_count;
  if (!is_there && !read_sections(file, index))
    return false;
  *section = file->sections[index - file->first_section];
  return true;
}

/* The best symbol table: .symtab has static functions too. */
static bool find_table(struct elf_file *file, Elf64_Shdr *symbols, Elf64_Shdr *strings)
{
  bool found = false;
  for (unsigned i = 0; i < file->header.e_shnum; i++) {
    Elf64_Shdr section, names;
    if (!read_section(file, i, &section))
      return found;
    if ((section.sh_type != SHT_SYMTAB && (found || section.sh_type != SHT_DYNSYM)) ||
        section.sh_entsize != sizeof(Elf64_Sym) || !read_section(file, section.sh_link, &names) ||
        names.sh_type != SHT_STRTAB)
      continue;
    *symbols = section;
    *strings = names;
    found = true;
    if (section.sh_type == SHT_SYMTAB)
      break;
  }
  return found;
}

static bool has_build_id(struct elf_file *file, const uint8_t *id, size_t id_bytes)
{
  char notes[NOTES_MAX_BYTES];
  struct build_id found;
  for (unsigned i = 0; i < file->header.e_shnum; i++) {
    Elf64_Shdr section;
    if (read_section(file, i, &section) && section.sh_type == SHT_NOTE && section.sh_size <= sizeof notes &&
        read_exactly(file->fd, section.sh_offset, notes, section.sh_size) &&
        build_id_find(notes, section.sh_size, section.sh_addralign, &found))
      return found.size == id_bytes && memcmp(found.bytes, id, id_bytes) == 0;
  }
  return false;
}

static size_t lower_bound(const struct elfsym_query *queries, size_t count, uint64_t address)
{
  size_t low = 0;
  while (count > 0) {
    size_t half = count / 2;
    if (queries[low + half].address < address) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return low;
}

/* An index of the queries: their range is cut into equal parts, and each part knows the first query in it or behind it,
 * and its address. A file has many more symbols than there are queries, and most symbols match none. */
enum { PARTS = 512 };

struct query_index {
  uint64_t low;
  unsigned shift;
  uint32_t first[PARTS + 1];
  uint64_t first_address[PARTS]; /* behind all queries: the highest, which no symbol reaches */
};

static void index_queries(struct query_index *index, const struct elfsym_query *queries, size_t count)
{
  uint64_t parts = (queries[count - 1].address - queries[0].address) / PARTS;
  index->low = queries[0].address;
  index->shift = parts == 0 ? 0 : 64 - (unsigned)__builtin_clzll(parts);
  size_t part = 0;
  for (uint32_t i = 0; i < count; i++)
    for (; part <= (queries[i].address - index->low) >> index->shift; part++)
      index->first[part] = i;
  for (; part <= PARTS; part++)
    index->first[part] = (uint32_t)count;
  for (part = 0; part < PARTS; part++)
    index->first_address[part] = index->first[part] < count ? queries[index->first[part]].address : UINT64_MAX;
}

static uint64_t reach_of(const Elf64_Sym *symbol)
{
  return LIKELY(symbol->st_size > 0) ? symbol->st_size : UNSIZED_REACH_BYTES;
}

/* The first query that the symbol may hold; `count`: there is none. */
static ALWAYS_INLINE size_t first_match(const struct query_index *index, const Elf64_Sym *symbol,
                                        const struct elfsym_query *queries, size_t count)
{
  uint64_t value = symbol->st_value, part = value < index->low ? 0 : (value - index->low) >> index->shift;
  if (LIKELY(part >= PARTS || index->first_address[part] >= value + reach_of(symbol)))
    return count;
  size_t first = index->first[part];
  first += lower_bound(queries + first, index->first[part + 1] - first, value);
  return first < count && queries[first].address < value + reach_of(symbol) ? first : count;
}

/* What is known so far about the symbol of a query. A sized symbol that covers the address beats an unsized one before
 * it; a global name beats a local alias. */
struct match {
  uint64_t name_offset;
  uint8_t rank;
};

enum { RANK_NONE, RANK_UNSIZED, RANK_LOCAL, RANK_WEAK, RANK_GLOBAL };

static uint8_t rank_of(const Elf64_Sym *symbol)
{
  if (symbol->st_size == 0)
    return RANK_UNSIZED;
  switch (ELF64_ST_BIND(symbol->st_info)) {
  case STB_GLOBAL: return RANK_GLOBAL;
  case STB_WEAK: return RANK_WEAK;
  default: return RANK_LOCAL;
  }
}

static bool is_code(const Elf64_Sym *symbol)
{
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  return (type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && symbol->st_size == 0)) &&
         symbol->st_shndx != SHN_UNDEF && symbol->st_shndx < SHN_LORESERVE && symbol->st_name != 0;
}

/* A symbol without a size (hand-written assembly) reaches to the next one, so the last one before the address counts;
 * and no farther than its section: _init, the last of .init, would name .plt. */
static uint64_t end_of(struct elf_file *file, const Elf64_Sym *symbol)
{
  Elf64_Shdr section;
  uint64_t end = symbol->st_value + reach_of(symbol);
  if (symbol->st_size > 0 || !read_section(file, symbol->st_shndx, &section) || section.sh_addr + section.sh_size > end)
    return end;
  return section.sh_addr + section.sh_size;
}

/* With queries[first..count), of which it holds the first, as far as its size tells. */
static NOINLINE void match_symbol(struct elf_file *file, const Elf64_Sym *symbol, struct elfsym_query *queries,
                                  struct match *matches, size_t first, size_t count)
{
  if (!is_code(symbol))
    return;
  uint8_t rank = rank_of(symbol);
  uint64_t end = end_of(file, symbol);
  for (size_t i = first; i < count && queries[i].address < end; i++) {
    bool is_nearer = rank == RANK_UNSIZED && symbol->st_value > queries[i].start;
    bool is_better = rank > matches[i].rank || (rank == matches[i].rank && is_nearer);
    if (!is_better)
      continue;
    matches[i] = (struct match){.name_offset = symbol->st_name, .rank = rank};
    queries[i].start = symbol->st_value;
  }
}

struct symbols {
  Elf64_Sym *room;
  size_t at_a_time;
};

static bool match_all(struct elf_file *file, const Elf64_Shdr *table, struct symbols symbols,
                      struct elfsym_query *queries, struct match *matches, size_t count)
{
  struct query_index index;
  uint64_t total = table->sh_size / sizeof *symbols.room, end;
  if (__builtin_add_overflow(table->sh_offset, table->sh_size, &end))
    return false;
  index_queries(&index, queries, count);
  for (uint64_t done = 0; done < total;) {
    size_t batch = total - done < symbols.at_a_time ? (size_t)(total - done) : symbols.at_a_time;
    uint64_t offset = table->sh_offset + done * sizeof *symbols.room;
    if (!read_exactly(file->fd, offset, symbols.room, batch * sizeof *symbols.room))
      return false;
    for (size_t i = 0; i < batch; i++) {
      size_t first = first_match(&index, &symbols.room[i], queries, count);
      if (UNLIKELY(first < count))
        match_symbol(file, &symbols.room[i], queries, matches, first, count);
    }
    done += batch;
  }
  return true;
}

/* cc1 has 37,000 symbols, and calls for 256 each took as long as looking at them. But a short table is not worth the
 * pages of a larger buffer. */

static NOINLINE bool match_few(struct elf_file *file, const Elf64_Shdr *table, struct elfsym_query *queries,
                               struct match *matches, size_t count)
{
  Elf64_Sym room[256];
  return match_all(file, table, (struct symbols){room, COUNT_OF(room)}, queries, matches, count);
}

static NOINLINE bool match_many(struct elf_file *file, const Elf64_Shdr *table, struct elfsym_query *queries,
                                struct match *matches, size_t count)
{
  Elf64_Sym room[1024];
  return match_all(file, table, (struct symbols){room, COUNT_OF(room)}, queries, matches, count);
}

static const char *read_name(const struct elf_file *file, const Elf64_Shdr *strings, uint64_t offset,
                             struct arena *arena)
{
  char name[NAME_MAX_BYTES];
  if (offset >= strings->sh_size)
    return NULL;
  uint64_t room = strings->sh_size - offset;
  for (size_t size = 256;; size = sizeof name) { /* most names are short: read little first */
    long got = sys_pread(file->fd, name, room < size ? (size_t)room : size, strings->sh_offset + offset);
    const char *end = got > 0 ? memchr(name, '\0', (size_t)got) : NULL;
    if (end != NULL)
      return end > name ? arena_copy_text(arena, name, (size_t)(end - name)) : NULL;
    if (size == sizeof name || got <= 0)
      return NULL;
  }
}

static enum elfsym_table resolve_in(struct elf_file *file, struct elfsym_query *queries, size_t count,
                                    struct arena *arena)
{
  Elf64_Shdr symbols, strings;
  struct match *matches = arena_get_array(arena, count, sizeof *matches);
  if (matches == NULL || !find_table(file, &symbols, &strings))
    return ELFSYM_NO_TABLE;
  bool has_few = symbols.sh_size <= FEW_SYMBOLS_BYTES;
  if (!(has_few ? match_few : match_many)(file, &symbols, queries, matches, count))
    return ELFSYM_NO_TABLE;
  for (size_t i = 0; i < count; i++) {
    if (matches[i].rank == RANK_NONE)
      continue;
    bool same_as_before = i > 0 && queries[i - 1].name != NULL && matches[i - 1].name_offset == matches[i].name_offset;
    queries[i].name = same_as_before ? queries[i - 1].name : read_name(file, &strings, matches[i].name_offset, arena);
  }
  return symbols.sh_type == SHT_SYMTAB ? ELFSYM_FULL : ELFSYM_DYNAMIC;
}

static bool is_elf64(const struct elf_file *file)
{
  return memcmp(file->header.e_ident, ELFMAG, SELFMAG) == 0 && file->header.e_ident[EI_CLASS] == ELFCLASS64 &&
         file->header.e_shentsize == sizeof(Elf64_Shdr) && file->header.e_shnum < SECTIONS_MAX - 1;
}

enum elfsym_table elfsym_resolve(const char *path, const uint8_t *build_id, size_t build_id_bytes,
                                 struct elfsym_query *queries, size_t count, struct arena *arena)
{
  enum elfsym_table table = ELFSYM_NO_FILE;
  if (count == 0)
    return table;
  struct elf_file file = {.fd = descriptor_open(path, O_RDONLY | O_NONBLOCK, 0)};
  if (file.fd < 0)
    return table;
  if (read_exactly(file.fd, 0, &file.header, sizeof file.header) && is_elf64(&file)) {
    bool fits = build_id_bytes == 0 || has_build_id(&file, build_id, build_id_bytes);
    table = fits ? resolve_in(&file, queries, count, arena) : ELFSYM_OTHER_FILE;
  }
  sys_close(file.fd);
  return table;
}

bool elfsym_find_full(int fd, Elf64_Shdr *symbols, Elf64_Shdr *strings)
{
  struct elf_file file = {.fd = fd};
  return read_exactly(fd, 0, &file.header, sizeof file.header) && is_elf64(&file) &&
         find_table(&file, symbols, strings) && symbols->sh_type == SHT_SYMTAB;
}
