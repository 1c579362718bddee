/* SPDX-License-Identifier: MIT */
/* Symbols of this very program: it knows where its functions are and what was inlined. */
#include "tools/symbols/symbols.h"

#include "tools/symbols/symbol_cache.h"
#include "tools/symbols/symbol_set.h"
#include "unit.h"

#include <link.h>

/* --- sets --- */

static struct symbol_set *make_set(void)
{
  struct symbol_set *set = symbol_set_new();
  uint32_t inner = symbol_set_function(
      set, (struct heap_function){.name = "a::b", .system_name = "_ZN1a1bEv", .file = "/a.cc", .start_line = 3});
  uint32_t outer =
      symbol_set_function(set, (struct heap_function){.name = "main", .system_name = "main", .file = NULL});
  struct heap_line lines[] = {{inner, 5}, {outer, INT64_MAX}};
  symbol_set_add(set, 0x1000, SYMBOL_DEBUG, lines, 2);
  symbol_set_add(set, UINT64_MAX, SYMBOL_TABLE, lines + 1, 1);
  symbol_set_add(set, 0, SYMBOL_DEBUG, NULL, 0);
  symbol_set_add_nameless(set, 0x2000, SYMBOL_DEBUG, 0x1f0b0);
  return set;
}

static void check_set(const struct symbol_set *set)
{
  const struct symbol_site *site = symbol_set_find(set, 0x1000);
  assert_non_null(site);
  assert_int_equal(site->line_count, 2);
  const struct heap_line *lines = &g_array_index(set->lines, struct heap_line, site->first_line);
  const struct heap_function *inner = &g_array_index(set->functions, struct heap_function, lines[0].function);
  assert_string_equal(inner->name, "a::b");
  assert_string_equal(inner->system_name, "_ZN1a1bEv");
  assert_string_equal(inner->file, "/a.cc");
  assert_int_equal(inner->start_line, 3);
  assert_int_equal(lines[1].line, INT64_MAX);
  assert_int_equal(symbol_set_find(set, 0)->line_count, 0);
  assert_int_equal(symbol_set_find(set, 0)->start, SYMBOL_NO_START);
  assert_int_equal(symbol_set_find(set, 0x2000)->line_count, 0);
  assert_int_equal(symbol_set_find(set, 0x2000)->start, 0x1f0b0);
  assert_int_equal(symbol_set_find(set, UINT64_MAX)->origin, SYMBOL_TABLE);
  assert_null(symbol_set_find(set, 1));
}

static void test_set(void **state)
{
  (void)state;
  struct symbol_set *set = make_set();
  check_set(set);
  assert_int_equal(symbol_set_function(set, (struct heap_function){.name = "main", .system_name = "main"}), 1);
  symbol_set_add(set, 0x1000, SYMBOL_TABLE, NULL, 0); /* it keeps what it has */
  check_set(set);
  symbol_set_free(set);
}

static void test_set_packs(void **state)
{
  (void)state;
  struct symbol_set *set = make_set();
  g_autoptr(GBytes) bytes = symbol_set_pack(set);
  struct symbol_set *copy = symbol_set_unpack(bytes);
  assert_non_null(copy);
  check_set(copy);
  symbol_set_free(copy);
  symbol_set_free(set);
}

static void test_set_merges(void **state)
{
  (void)state;
  struct symbol_set *set = symbol_set_new(), *other = make_set();
  symbol_set_merge(set, other, SYMBOL_DEBUG);
  assert_int_equal(set->sites->len, 3);
  symbol_set_merge(set, other, SYMBOL_TABLE);
  check_set(set);
  symbol_set_free(other);
  check_set(set);
  symbol_set_free(set);
}

/* Text that is not UTF-8 is mended, so that it can be packed. */
static void test_set_mends_text(void **state)
{
  (void)state;
  struct symbol_set *set = symbol_set_new();
  struct heap_line line = {
      symbol_set_function(set, (struct heap_function){.name = "a\xff\xfe", .system_name = "\x80", .file = "\xc3("}), 1};
  symbol_set_add(set, 1, SYMBOL_DEBUG, &line, 1);
  g_autoptr(GBytes) bytes = symbol_set_pack(set);
  struct symbol_set *copy = symbol_set_unpack(bytes);
  assert_non_null(copy);
  symbol_set_free(copy);
  symbol_set_free(set);
}

static void check_unpacks_safely(const void *bytes, size_t size)
{
  g_autoptr(GBytes) packed = g_bytes_new(bytes, size);
  struct symbol_set *set = symbol_set_unpack(packed);
  for (guint i = 0; set != NULL && i < set->sites->len; i++) {
    const struct symbol_site *site = &g_array_index(set->sites, struct symbol_site, i);
    assert_true(site->first_line + site->line_count <= set->lines->len);
  }
  for (guint i = 0; set != NULL && i < set->lines->len; i++)
    assert_true(g_array_index(set->lines, struct heap_line, i).function < set->functions->len);
  symbol_set_free(set);
}

static void test_set_unpacks_anything(void **state)
{
  (void)state;
  struct symbol_set *set = make_set();
  g_autoptr(GBytes) packed = symbol_set_pack(set);
  size_t size;
  const uint8_t *good = g_bytes_get_data(packed, &size);
  g_autofree uint8_t *bytes = g_malloc(size + 1);
  for (size_t cut = 0; cut <= size; cut++)
    check_unpacks_safely(good, cut);
  static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
  for (size_t i = 0; i < size; i++)
    for (size_t k = 0; k < G_N_ELEMENTS(values); k++) {
      memcpy(bytes, good, size);
      bytes[i] = values[k];
      check_unpacks_safely(bytes, size);
    }
  symbol_set_free(set);
}

/* --- the cache --- */

static char *make_folder(void)
{
  char *folder = g_dir_make_tmp("symbols.XXXXXX", NULL);
  assert_non_null(folder);
  g_setenv("XDG_CACHE_HOME", folder, TRUE);
  return folder;
}

static void remove_folder(char *folder)
{
  g_autofree char *command = g_strdup_printf("rm -rf '%s'", folder);
  assert_int_equal(system(command), 0);
  g_free(folder);
}

static void test_cache(void **state)
{
  (void)state;
  char *folder = make_folder();
  struct symbol_set *set = make_set();
  assert_null(symbol_cache_load("0123456789abcdef"));
  symbol_cache_store("0123456789abcdef", set);
  struct symbol_set *kept = symbol_cache_load("0123456789abcdef");
  assert_non_null(kept);
  check_set(kept);
  symbol_set_free(kept);
  static const char *const no_build_ids[] = {"", "abc", "../../0123456789", "0123456789ABCDEF", "0123456789abcdef.1"};
  for (size_t i = 0; i < G_N_ELEMENTS(no_build_ids); i++) {
    symbol_cache_store(no_build_ids[i], set);
    assert_null(symbol_cache_load(no_build_ids[i]));
  }
  symbol_set_free(set);
  remove_folder(folder);
}

/* --- this program --- */

static volatile uintptr_t pc_in_outer;
static volatile int line_in_inner, line_in_outer;

__attribute__((always_inline)) static inline void inner(void)
{
  void *here;
  __asm__ volatile("lea 0(%%rip), %0" : "=r"(here));
  pc_in_outer = (uintptr_t)here - 1, line_in_inner = __LINE__ - 1;
}

__attribute__((noinline)) static void outer(void)
{
  inner(), line_in_outer = __LINE__;
}

struct self {
  struct heap *heap;
  uintptr_t address;
};

static void add_build_id(const struct dl_phdr_info *info, const ElfW(Phdr) * note, GString *hex)
{
  const char *bytes = (const char *)info->dlpi_addr + note->p_vaddr, *end = bytes + note->p_memsz;
  while (bytes + sizeof(ElfW(Nhdr)) < end) {
    const ElfW(Nhdr) *header = (const ElfW(Nhdr) *)(const void *)bytes;
    const char *name = bytes + sizeof *header, *id = name + (header->n_namesz + 3) / 4 * 4;
    if (header->n_type == NT_GNU_BUILD_ID)
      for (unsigned i = 0; i < header->n_descsz; i++)
        g_string_append_printf(hex, "%02x", (unsigned char)id[i]);
    bytes = id + (header->n_descsz + 3) / 4 * 4;
  }
}

static int add_self(struct dl_phdr_info *info, size_t size, void *context)
{
  (void)size;
  struct self *self = context;
  g_autofree char *path = g_file_read_link("/proc/self/exe", NULL);
  g_autoptr(GString) build_id = g_string_new(NULL);
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_NOTE)
      add_build_id(info, &info->dlpi_phdr[i], build_id);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uint64_t start = (info->dlpi_addr + segment->p_vaddr) & ~4095ULL;
    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0)
      heap_add_location(self->heap, self->address,
                        heap_add_mapping(self->heap, (struct heap_mapping){.start = start,
                                                                           .limit = start + segment->p_memsz + 4096,
                                                                           .file_offset = segment->p_offset & ~4095ULL,
                                                                           .path = path,
                                                                           .build_id = build_id->str}));
  }
  return 1; /* the program comes first */
}

static struct heap *make_self(void)
{
  outer();
  struct self self = {heap_new("self"), pc_in_outer};
  dl_iterate_phdr(add_self, &self);
  assert_int_equal(self.heap->locations->len, 1);
  return self.heap;
}

static const struct heap_function *function_at(const struct heap *heap, uint32_t index)
{
  return heap_function(heap, heap_lines(heap, heap_location(heap, 0))[index].function);
}

static void test_lines(void **state)
{
  (void)state;
  struct heap *heap = make_self();
  struct symbols_result result;
  symbols_add(heap, &(struct symbols_options){.detail = SYMBOLS_LINES, .skips_cache = true}, &result);
  const struct heap_location *location = heap_location(heap, 0);
  assert_int_equal(location->line_count, 2);
  assert_string_equal(function_at(heap, 0)->name, "inner");
  assert_string_equal(function_at(heap, 1)->name, "outer");
  assert_true(g_str_has_suffix(function_at(heap, 0)->file, "/test_symbols.c"));
  assert_int_equal(heap_lines(heap, location)[0].line, line_in_inner);
  assert_int_equal(heap_lines(heap, location)[1].line, line_in_outer);
  assert_true(heap_mapping(heap, location->mapping)->has_inline_frames);
  assert_int_equal(result.locations, 1);
  assert_int_equal(result.found, 1);
  assert_int_equal(result.with_lines, 1);
  assert_int_equal(result.problems->len, 0);
  assert_int_equal(result.without_debug->len, 0);
  symbols_result_clear(&result);
  heap_free(heap);
}

static void test_names(void **state)
{
  (void)state;
  struct heap *heap = make_self();
  struct symbols_result result;
  symbols_add(heap, &(struct symbols_options){.detail = SYMBOLS_NAMES}, &result);
  assert_int_equal(heap_location(heap, 0)->line_count, 1);
  assert_string_equal(function_at(heap, 0)->name, "outer");
  const struct heap_mapping *mapping = heap_mapping(heap, heap_location(heap, 0)->mapping);
  assert_true(mapping->has_functions); /* this program has a .symtab */
  assert_false(mapping->has_filenames || mapping->has_line_numbers || mapping->has_inline_frames);
  symbols_result_clear(&result);
  /* Names are enough for names. Lines are asked for, and replace them. */
  symbols_add(heap, &(struct symbols_options){.detail = SYMBOLS_NAMES}, &result);
  assert_int_equal(result.found, 0);
  symbols_result_clear(&result);
  symbols_add(heap, &(struct symbols_options){.detail = SYMBOLS_LINES, .skips_cache = true}, &result);
  assert_int_equal(heap_location(heap, 0)->line_count, 2);
  symbols_result_clear(&result);
  heap_free(heap);
}

static void test_impossible_mappings(void **state)
{
  (void)state;
  static const struct heap_mapping mappings[] = {
      {.start = 0, .limit = UINT64_MAX, .file_offset = UINT64_MAX, .path = "/proc/self/exe"},
      {.start = 0, .limit = UINT64_MAX, .file_offset = 0, .path = "/dev/zero"},
      {.start = 0, .limit = UINT64_MAX, .file_offset = 0, .path = "/proc/self/mem", .build_id = "zz"},
      {.start = 0, .limit = UINT64_MAX, .file_offset = 0, .path = "/proc/self/exe", .build_id = "0"},
      {.start = 10, .limit = 5, .file_offset = 0, .path = "/proc/self/exe"},
      {.start = 0, .limit = UINT64_MAX, .file_offset = 0, .path = "\xff\n/"}};
  static const uint64_t addresses[] = {0, 7, 0x1000, 1ULL << 47, UINT64_MAX - 1, UINT64_MAX};
  struct heap *heap = heap_new("impossible");
  for (size_t i = 0; i < G_N_ELEMENTS(mappings); i++)
    for (size_t k = 0; k < G_N_ELEMENTS(addresses); k++)
      heap_add_location(heap, addresses[k], heap_add_mapping(heap, mappings[i]));
  heap_add_location(heap, 1, HEAP_NONE);
  struct symbols_result result;
  symbols_add(heap, &(struct symbols_options){.detail = SYMBOLS_LINES, .skips_cache = true}, &result);
  assert_in_range(result.problems->len, 3, G_N_ELEMENTS(mappings));
  for (uint32_t i = 0; i < heap->locations->len; i++)
    assert_true(heap_location(heap, i)->line_count <= 256);
  symbols_result_clear(&result);
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_set),
                                     cmocka_unit_test(test_set_packs),
                                     cmocka_unit_test(test_set_merges),
                                     cmocka_unit_test(test_set_mends_text),
                                     cmocka_unit_test(test_set_unpacks_anything),
                                     cmocka_unit_test(test_cache),
                                     cmocka_unit_test(test_lines),
                                     cmocka_unit_test(test_names),
                                     cmocka_unit_test(test_impossible_mappings)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
