/* SPDX-License-Identifier: MIT */
/* Names of generated code: perf maps and dumps. */
#include "tools/symbols/jitdump.h"
#include "tools/symbols/perf_map.h"
#include "unit.h"

#include <string.h>

static const uint64_t addresses[] = {0x1000, 0x1008, 0x2000, 0xfffffffffffffff0, UINT64_MAX};
enum { ADDRESSES = 5 };

static struct code_names *new_names(void)
{
  return code_names_new(addresses, ADDRESSES);
}

/* `expected`: a name for each address, NULL: none. */
static void assert_names(struct code_names *names, const char *const *expected)
{
  for (uint32_t i = 0; i < ADDRESSES; i++) {
    const char *name = code_names_get(names, i);
    if (expected[i] == NULL)
      assert_null(name);
    else if (name == NULL)
      fail_msg("address %u has no name", i);
    else
      assert_string_equal(name, expected[i]);
  }
  code_names_free(names);
}

static void assert_map(const char *text, const char *const *expected)
{
  struct code_names *names = new_names();
  perf_map_read(text, strlen(text), names);
  assert_names(names, expected);
}

static void test_maps(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    const char *names[ADDRESSES];
  } cases[] = {
      {"", {NULL}},
      {"\n\n \n", {NULL}},
      {"1000 8 f\n", {"f"}},
      {"1000 9 JS:~f /a b.js:1:2\n", {"JS:~f /a b.js:1:2", "JS:~f /a b.js:1:2"}},
      {"0x1000 0X8 f\r\n", {"f"}},
      {"0000000000001000 8 f\n", {"f"}},
      {"1000 1001 all\n1008 1 later\n", {"all", "later", "all"}},
      {"1008 1 earlier\n1000 1001 all\n", {"all", "all", "all"}},
      {"1000 8 f\n1000 8 cut", {"f"}},
      {"1000 0 nothing\n1000 8\n1000 8 \nhello\n1000 -8 f\n1000 8g f\n", {NULL}},
      {"00 8 cut\n2000 1 f\n", {NULL, NULL, "f"}},
      {"0 ffffffffffffffff most\n", {"most", "most", "most", "most"}},
      {"ffffffffffffffff 1 last\n", {NULL, NULL, NULL, NULL, "last"}},
      {"fffffffffffffff0 ffffffffffffffff wraps\n", {NULL, NULL, NULL, "wraps", "wraps"}},
      {"11111111111111000 8 too long\n", {NULL}},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
    assert_map(cases[i].text, cases[i].names);
}

static void test_long_names_are_cut(void **state)
{
  (void)state;
  struct code_names *names = new_names();
  g_autofree char *name = g_strnfill(5000, 'n'), *line = g_strdup_printf("1000 1 %s\n", name);
  perf_map_read(line, strlen(line), names);
  assert_int_equal(strlen(code_names_get(names, 0)), 4096);
  code_names_free(names);
}

/* Each line covers all: without care that would be 1e10 steps. */
static void test_many_that_cover_all(void **state)
{
  (void)state;
  enum { MANY = 100000 };
  g_autofree uint64_t *many = g_new(uint64_t, MANY);
  for (uint32_t i = 0; i < MANY; i++)
    many[i] = i + 1;
  struct code_names *names = code_names_new(many, MANY);
  for (uint32_t i = 0; i < MANY; i++)
    code_names_offer(names, 2, MANY, "f", 1);
  assert_null(code_names_get(names, 0));
  assert_string_equal(code_names_get(names, MANY - 1), "f");
  assert_false(code_names_are_complete(names));
  code_names_offer(names, 0, UINT64_MAX, "rest", 4);
  assert_true(code_names_are_complete(names));
  code_names_free(names);
}

/* --- dumps --- */

static void put(GByteArray *dump, const void *bytes, size_t size)
{
  g_byte_array_append(dump, bytes, (guint)size);
}

static void put_header(GByteArray *dump, uint32_t kind, size_t rest)
{
  uint32_t head[] = {kind, (uint32_t)(16 + rest), 0, 0};
  put(dump, head, sizeof head);
}

static GByteArray *new_dump(void)
{
  GByteArray *dump = g_byte_array_new();
  uint32_t header[] = {0x4a695444, 1, 40, 62, 0, 1, 0, 0, 0, 0};
  put(dump, header, sizeof header);
  return dump;
}

static void put_load(GByteArray *dump, uint64_t address, uint64_t size, uint64_t index, const char *name)
{
  uint64_t load[] = {1, address, address, size, index};
  put_header(dump, 0, sizeof load + strlen(name) + 1 + 3);
  put(dump, load, sizeof load);
  put(dump, name, strlen(name) + 1);
  put(dump, "\xcc\xcc\xc3", 3);
}

static void put_move(GByteArray *dump, uint64_t from, uint64_t to, uint64_t size, uint64_t index)
{
  uint64_t move[] = {1, to, from, to, size, index};
  put_header(dump, 1, sizeof move);
  put(dump, move, sizeof move);
}

static GByteArray *usual_dump(void)
{
  GByteArray *dump = new_dump();
  put_load(dump, 0x1000, 8, 1, "first");
  put_load(dump, 0x1000, 16, 2, "second");
  put_header(dump, 2, 0); /* of lines: passed over */
  put_move(dump, 0x1000, 0x2000, 16, 1);
  put_move(dump, 0x1000, 0x2000, 16, 99); /* of nothing */
  return dump;
}

static void test_dumps(void **state)
{
  (void)state;
  static const char *const expected[ADDRESSES] = {"second", "second", "first"};
  g_autoptr(GByteArray) dump = usual_dump();
  struct code_names *names = new_names();
  assert_true(jitdump_read(dump->data, dump->len, names));
  assert_names(names, expected);
  put_header(dump, 3, 0);
  put_load(dump, 0x2000, 8, 3, "behind the end");
  names = new_names();
  assert_true(jitdump_read(dump->data, dump->len, names));
  assert_names(names, expected);
}

static void test_other_files_are_no_dumps(void **state)
{
  (void)state;
  g_autoptr(GByteArray) dump = usual_dump();
  struct code_names *names = new_names();
  assert_false(jitdump_read(dump->data, 39, names));
  dump->data[0] ^= 1;
  assert_false(jitdump_read(dump->data, dump->len, names));
  dump->data[0] ^= 1;
  dump->data[8] = 39;
  assert_false(jitdump_read(dump->data, dump->len, names));
  static const char *const none[ADDRESSES] = {NULL};
  assert_names(names, none);
}

static void test_damaged_dumps(void **state)
{
  (void)state;
  static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
  g_autoptr(GByteArray) dump = usual_dump();
  for (guint cut = 0; cut <= dump->len; cut++) {
    g_autofree uint8_t *bytes = g_memdup2(dump->data, cut); /* for the sanitizer */
    struct code_names *names = new_names();
    assert_int_equal(jitdump_read(bytes, cut, names), cut >= 40);
    code_names_free(names);
  }
  for (guint i = 0; i < dump->len; i++)
    for (size_t k = 0; k < G_N_ELEMENTS(values); k++) {
      g_autofree uint8_t *bytes = g_memdup2(dump->data, dump->len);
      bytes[i] = values[k];
      struct code_names *names = new_names();
      (void)jitdump_read(bytes, dump->len, names);
      code_names_free(names);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_maps),
                                     cmocka_unit_test(test_long_names_are_cut),
                                     cmocka_unit_test(test_many_that_cover_all),
                                     cmocka_unit_test(test_dumps),
                                     cmocka_unit_test(test_other_files_are_no_dumps),
                                     cmocka_unit_test(test_damaged_dumps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
