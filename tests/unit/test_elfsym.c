/* SPDX-License-Identifier: MIT */
#include "core/elfsym.h"

#include "core/prng.h"
#include "unit.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

extern const char __ehdr_start[];

NOINLINE int a_global_function(int x);
NOINLINE int a_global_function(int x)
{
  return x * 3 + (int)getpid();
}

static NOINLINE int a_static_function(int x)
{
  return x * 5 + (int)getppid();
}

static uint64_t address_in_file(const void *function)
{
  return (uint64_t)((const char *)function - __ehdr_start);
}

static int compare(const void *a, const void *b)
{
  uint64_t x = ((const struct elfsym_query *)a)->address, y = ((const struct elfsym_query *)b)->address;
  return (x > y) - (x < y);
}

static char own_path[4096];
static uint8_t own_build_id[64];
static size_t own_build_id_bytes;

static int find_build_id(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)size, (void)unused;
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    const char *note = (const char *)(info->dlpi_addr + header->p_vaddr), *end = note + header->p_memsz;
    while (header->p_type == PT_NOTE && note + sizeof(ElfW(Nhdr)) <= end) {
      const ElfW(Nhdr) *nhdr = (const ElfW(Nhdr) *)note;
      const char *name = note + sizeof *nhdr, *bytes = name + ((nhdr->n_namesz + 3) & ~3u);
      if (nhdr->n_type == NT_GNU_BUILD_ID && memcmp(name, "GNU", 4) == 0)
        memcpy(own_build_id, bytes, own_build_id_bytes = nhdr->n_descsz);
      note = bytes + ((nhdr->n_descsz + 3) & ~3u);
    }
  }
  return 1; /* the program comes first */
}

static void finds_own_functions(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  int used = a_global_function(1) + a_static_function(2);
  struct elfsym_query queries[] = {{.address = address_in_file((const void *)a_global_function)},
                                   {.address = address_in_file((const void *)a_global_function) + 3},
                                   {.address = address_in_file((const void *)a_static_function) + 1},
                                   {.address = address_in_file((const void *)elfsym_resolve) + 8},
                                   {.address = 1ull << 40},
                                   {.address = UINT64_MAX}};
  qsort(queries, COUNT_OF(queries), sizeof *queries, compare);
  enum elfsym_table table =
      elfsym_resolve(own_path, own_build_id, own_build_id_bytes, queries, COUNT_OF(queries), &arena);
  assert_int_equal(table, ELFSYM_FULL);
  unsigned found = 0;
  for (unsigned i = 0; i < COUNT_OF(queries); i++) {
    const char *expected = NULL;
    if (queries[i].address - address_in_file((const void *)a_global_function) < 4)
      expected = "a_global_function", found++;
    else if (queries[i].address == address_in_file((const void *)a_static_function) + 1)
      expected = "a_static_function", found++;
    else if (queries[i].address == address_in_file((const void *)elfsym_resolve) + 8)
      expected = "elfsym_resolve", found++;
    if (expected != NULL) {
      assert_string_equal(queries[i].name, expected);
      assert_true(queries[i].start <= queries[i].address && queries[i].address - queries[i].start <= 8);
    } else {
      assert_null(queries[i].name);
    }
  }
  assert_int_equal(found, 4);
  assert_true(used != 0);
  arena_release(&arena);
}

static void file_of_another_build_is_not_believed(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  uint8_t other[64];
  struct elfsym_query query = {.address = address_in_file((const void *)a_global_function)};
  assert_true(own_build_id_bytes >= 8);
  memcpy(other, own_build_id, sizeof other);
  other[own_build_id_bytes - 1] ^= 1;
  assert_int_equal(elfsym_resolve(own_path, other, own_build_id_bytes, &query, 1, &arena), ELFSYM_OTHER_FILE);
  assert_null(query.name);
  assert_int_equal(elfsym_resolve(own_path, own_build_id, own_build_id_bytes - 1, &query, 1, &arena),
                   ELFSYM_OTHER_FILE);
  assert_null(query.name);
  assert_int_equal(elfsym_resolve(own_path, NULL, 0, &query, 1, &arena), ELFSYM_FULL);
  assert_string_equal(query.name, "a_global_function");
  arena_release(&arena);
}

static void what_is_no_elf_file_has_no_names(void **state)
{
  (void)state;
  char fifo[128];
  snprintf(fifo, sizeof fifo, "%s/fifo", unit_directory());
  assert_int_equal(mkfifo(fifo, 0600), 0);
  const char *const paths[] = {"/nonexistent",    "/etc/passwd", "/dev/null", "/dev/zero",
                               "/proc/self/maps", "/",           "",          fifo};
  for (unsigned i = 0; i < COUNT_OF(paths); i++) {
    struct arena arena = {.chunks = NULL};
    struct elfsym_query query = {.address = 4096};
    assert_int_equal(elfsym_resolve(paths[i], NULL, 0, &query, 1, &arena), ELFSYM_NO_FILE);
    assert_null(query.name);
    arena_release(&arena);
  }
}

/* A made file: a small one, whose every byte can be made hostile. */

enum { SYMBOLS = 40, FUNCTION_BYTES = 32, TEXT_START = 0x1000, TEXT = 4 };

struct small_elf {
  Elf64_Ehdr header;
  Elf64_Shdr sections[5]; /* null, note, symtab, strtab, text */
  struct {
    Elf64_Nhdr header;
    char name[4];
    uint8_t id[20];
  } note;
  Elf64_Sym symbols[SYMBOLS + 1];
  char strings[SYMBOLS * 16 + 16];
};

static void make_small_elf(struct small_elf *elf, unsigned table_type)
{
  memset(elf, 0, sizeof *elf);
  memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
  elf->header.e_ident[EI_CLASS] = ELFCLASS64;
  elf->header.e_ident[EI_DATA] = ELFDATA2LSB;
  elf->header.e_shoff = offsetof(struct small_elf, sections);
  elf->header.e_shentsize = sizeof(Elf64_Shdr);
  elf->header.e_shnum = COUNT_OF(elf->sections);
  elf->sections[1] =
      (Elf64_Shdr){.sh_type = SHT_NOTE, .sh_offset = offsetof(struct small_elf, note), .sh_size = sizeof elf->note};
  elf->sections[2] = (Elf64_Shdr){.sh_type = table_type,
                                  .sh_offset = offsetof(struct small_elf, symbols),
                                  .sh_size = sizeof elf->symbols,
                                  .sh_entsize = sizeof(Elf64_Sym),
                                  .sh_link = 3};
  elf->sections[3] = (Elf64_Shdr){
      .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct small_elf, strings), .sh_size = sizeof elf->strings};
  elf->sections[TEXT] =
      (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_addr = TEXT_START, .sh_size = SYMBOLS * FUNCTION_BYTES};
  elf->note.header = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 20, .n_type = NT_GNU_BUILD_ID};
  memcpy(elf->note.name, "GNU", 4);
  memset(elf->note.id, 0xab, sizeof elf->note.id);
  for (unsigned i = 0; i < SYMBOLS; i++) {
    elf->symbols[i + 1] = (Elf64_Sym){.st_name = 16 * i + 1,
                                      .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
                                      .st_shndx = TEXT,
                                      .st_value = TEXT_START + i * FUNCTION_BYTES,
                                      .st_size = FUNCTION_BYTES};
    snprintf(elf->strings + 16 * i + 1, 15, "function_%u", i);
  }
}

static int small_fd;
static char small_path[64];

static void write_small(const void *bytes, size_t size)
{
  require(ftruncate(small_fd, 0) == 0 && pwrite(small_fd, bytes, size, 0) == (ssize_t)size);
}

/* _init is hand assembly at the end of .init, and .plt comes behind it. */
static void unsized_end_with_their_section(void **state)
{
  (void)state;
  struct small_elf elf;
  struct arena arena = {.chunks = NULL};
  make_small_elf(&elf, SHT_SYMTAB);
  elf.sections[TEXT].sh_size = 2 * FUNCTION_BYTES;
  elf.symbols[2].st_size = 0;
  memset(&elf.symbols[3], 0, (SYMBOLS - 2) * sizeof *elf.symbols);
  write_small(&elf, sizeof elf);
  struct elfsym_query queries[] = {{.address = TEXT_START + 2 * FUNCTION_BYTES - 1},
                                   {.address = TEXT_START + 2 * FUNCTION_BYTES}};
  assert_int_equal(elfsym_resolve(small_path, NULL, 0, queries, COUNT_OF(queries), &arena), ELFSYM_FULL);
  assert_string_equal(queries[0].name, "function_1");
  assert_null(queries[1].name);
  arena_release(&arena);
}

/* Asks for an address in every function and beyond; returns how many were named. */
static unsigned resolve_small(const uint8_t *id, size_t id_bytes, enum elfsym_table *table)
{
  struct arena arena = {.chunks = NULL};
  struct elfsym_query queries[SYMBOLS + 2];
  unsigned named = 0;
  for (unsigned i = 0; i < COUNT_OF(queries); i++)
    queries[i] = (struct elfsym_query){.address = TEXT_START + i * FUNCTION_BYTES + i % FUNCTION_BYTES};
  *table = elfsym_resolve(small_path, id, id_bytes, queries, COUNT_OF(queries), &arena);
  for (unsigned i = 0; i < COUNT_OF(queries); i++)
    if (queries[i].name != NULL) {
      char expected[32];
      snprintf(expected, sizeof expected, "function_%u", i);
      require(strlen(queries[i].name) < 8192);
      named += strcmp(queries[i].name, expected) == 0;
    }
  arena_release(&arena);
  return named;
}

static void prefer_what_covers_the_address(void **state)
{
  (void)state;
  struct small_elf elf;
  enum elfsym_table table;
  struct arena arena = {.chunks = NULL};
  make_small_elf(&elf, SHT_DYNSYM);
  write_small(&elf, sizeof elf);
  assert_int_equal(resolve_small(elf.note.id, 20, &table), SYMBOLS);
  assert_int_equal(table, ELFSYM_DYNAMIC);
  make_small_elf(&elf, SHT_SYMTAB);
  elf.symbols[2].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC); /* function_1 covers function_0, too */
  elf.symbols[2].st_value = elf.symbols[1].st_value;
  elf.symbols[2].st_size = 2 * FUNCTION_BYTES;
  elf.symbols[3].st_size = 0;          /* hand assembly: reaches on */
  elf.symbols[4].st_shndx = SHN_UNDEF; /* imported: not here */
  elf.symbols[5].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  write_small(&elf, sizeof elf);
  struct elfsym_query queries[5];
  for (unsigned i = 0; i < COUNT_OF(queries); i++)
    queries[i] = (struct elfsym_query){.address = TEXT_START + i * FUNCTION_BYTES + 4};
  assert_int_equal(elfsym_resolve(small_path, NULL, 0, queries, COUNT_OF(queries), &arena), ELFSYM_FULL);
  assert_string_equal(queries[0].name, "function_1");
  assert_string_equal(queries[1].name, "function_1");
  for (unsigned i = 2; i < 5; i++) {
    assert_string_equal(queries[i].name, "function_2");
    assert_int_equal(queries[i].start, TEXT_START + 2 * FUNCTION_BYTES);
  }
  arena_release(&arena);
}

/* More sections than are read at a time, with those that count far apart. */
static void sections_may_be_many(void **state)
{
  (void)state;
  enum { SECTIONS = 500 };
  static const unsigned places[][3] = {{1, 2, 3}, {499, 498, 497}, {47, 48, 49}, {48, 300, 2}, {300, 48, 499}};
  static struct {
    struct small_elf elf;
    Elf64_Shdr sections[SECTIONS];
  } file;
  for (unsigned i = 0; i < COUNT_OF(places); i++) {
    unsigned note = places[i][0], symbols = places[i][1], strings = places[i][2];
    enum elfsym_table table;
    make_small_elf(&file.elf, SHT_SYMTAB);
    memset(file.sections, 0, sizeof file.sections);
    file.sections[note] = file.elf.sections[1];
    file.sections[symbols] = file.elf.sections[2];
    file.sections[symbols].sh_link = strings;
    file.sections[strings] = file.elf.sections[3];
    file.elf.header.e_shoff = offsetof(typeof(file), sections);
    file.elf.header.e_shnum = SECTIONS;
    write_small(&file, sizeof file);
    assert_int_equal(resolve_small(file.elf.note.id, 20, &table), SYMBOLS);
    assert_int_equal(table, ELFSYM_FULL);
  }
}

static void hostile_files_cost_names_only(void **state)
{
  (void)state;
  enum { ROUNDS = 4000 };
  static const uint64_t odd[] = {
      0, 1, 7, 24, 64, 4096, 0x7fffffff, 0xffffffff, 1ull << 63, UINT64_MAX, UINT64_MAX - 23};
  uint64_t random = 20230611;
  unsigned named_all = 0, named_less = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct small_elf elf;
    enum elfsym_table table;
    size_t size = sizeof elf, critical = offsetof(struct small_elf, symbols) + 4 * sizeof(Elf64_Sym);
    make_small_elf(&elf, round % 3 == 0 ? SHT_DYNSYM : SHT_SYMTAB);
    switch (round % 4) {
    case 0: size = prng_next(&random) % sizeof elf; break;
    case 1: /* flipped bytes, mostly where they hurt */
      for (unsigned flips = 1 + prng_next(&random) % 8; flips > 0; flips--)
        ((uint8_t *)&elf)[prng_next(&random) % (flips % 4 == 0 ? sizeof elf : critical)] ^= (uint8_t)prng_next(&random);
      break;
    default: /* fields with the values that overflow */
      memcpy((char *)&elf + prng_next(&random) % (critical / 4) * 4, &odd[prng_next(&random) % COUNT_OF(odd)],
             round % 4 == 2 ? 8 : 4);
      break;
    }
    write_small(&elf, size);
    static const uint8_t id[20] = {0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab,
                                   0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab};
    unsigned named = resolve_small(id, round % 2 == 0 ? 20 : 0, &table);
    require(table > ELFSYM_NO_TABLE || named == 0);
    named_all += named == SYMBOLS;
    named_less += named < SYMBOLS;
  }
  assert_true(named_less > ROUNDS / 2 && named_all > ROUNDS / 20);
}

/* The same with a real file: this program. */
static void hostile_copies_of_a_real_file(void **state)
{
  (void)state;
  enum { ROUNDS = 600 };
  struct stat status;
  int fd = open(own_path, O_RDONLY);
  assert_true(fd >= 0 && fstat(fd, &status) == 0);
  size_t size = (size_t)status.st_size;
  char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  assert_ptr_not_equal(bytes, MAP_FAILED);
  write_small(bytes, size);
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
  uint64_t random = 77, shoff = header->e_shoff, sections_bytes = header->e_shnum * sizeof(Elf64_Shdr);
  unsigned named = 0, unnamed = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct arena arena = {.chunks = NULL};
    struct elfsym_query query = {.address = address_in_file((const void *)a_static_function)};
    uint64_t offset =
        round % 2 == 0 ? prng_next(&random) % sizeof *header : shoff + prng_next(&random) % sections_bytes;
    uint8_t flipped = (uint8_t)(bytes[offset] ^ (1 << prng_next(&random) % 8));
    require(pwrite(small_fd, &flipped, 1, (off_t)offset) == 1);
    if (round % 5 == 0)
      require(ftruncate(small_fd, (off_t)(prng_next(&random) % size)) == 0);
    (void)elfsym_resolve(small_path, own_build_id, round % 3 == 0 ? own_build_id_bytes : 0, &query, 1, &arena);
    named += query.name != NULL && strcmp(query.name, "a_static_function") == 0;
    unnamed += query.name == NULL;
    require(pwrite(small_fd, &bytes[offset], 1, (off_t)offset) == 1);
    if (round % 5 == 0)
      write_small(bytes, size);
    arena_release(&arena);
  }
  munmap(bytes, size);
  close(fd);
  assert_true(named > ROUNDS / 10 && unnamed > ROUNDS / 10);
}

CHILD_TEST(refused_memory_costs_names_only)
{
  struct arena arena = {.chunks = NULL};
  struct elfsym_query query = {.address = address_in_file((const void *)a_static_function)};
  unit_limit(RLIMIT_AS, 0);
  require(elfsym_resolve(own_path, NULL, 0, &query, 1, &arena) == ELFSYM_NO_TABLE);
  require(query.name == NULL && arena.failed);
}

static unsigned open_descriptors(void)
{
  return unit_count_files("/proc/self/fd");
}

static unsigned descriptors_at_start;

static void no_descriptor_stays_open(void **state)
{
  (void)state;
  assert_int_equal(open_descriptors(), descriptors_at_start);
}

int main(void)
{
  (void)unit_directory();
  ssize_t length = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
  dl_iterate_phdr(find_build_id, NULL);
  small_fd = memfd_create("small", 0);
  snprintf(small_path, sizeof small_path, "/proc/self/fd/%d", small_fd);
  if (length <= 0 || small_fd < 0)
    return 1;
  descriptors_at_start = open_descriptors();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_own_functions),
      cmocka_unit_test(file_of_another_build_is_not_believed),
      cmocka_unit_test(what_is_no_elf_file_has_no_names),
      cmocka_unit_test(prefer_what_covers_the_address),
      cmocka_unit_test(unsized_end_with_their_section),
      cmocka_unit_test(sections_may_be_many),
      cmocka_unit_test(hostile_files_cost_names_only),
      cmocka_unit_test(hostile_copies_of_a_real_file),
      cmocka_unit_test(refused_memory_costs_names_only),
      cmocka_unit_test(no_descriptor_stays_open),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
