/* SPDX-License-Identifier: MIT */
#include "tools/terminal/table.h"

#include "tools/terminal/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

static void assert_shown(const char *text, const char *expected)
{
  g_autofree char *shown = shown_text(text);
  assert_string_equal(shown, expected);
}

static void escapes_what_must_not_be_sent(void **state)
{
  (void)state;
  assert_shown("std::vector<int>", "std::vector<int>");
  assert_shown("größer ±1 …", "größer ±1 …");
  assert_shown("\033[2J\a\n\t\x7f", "\\x1b[2J\\x07\\x0a\\x09\\x7f");
  assert_shown("a\xc2\x9b"
               "2Jb",
               "a\\u{9b}2Jb");                           /* the one-character form of ESC [ */
  assert_shown("x\u202edetrevni", "x\\u{202e}detrevni"); /* right to left from here */
  assert_shown("\xff\xc3", "\\xff\\xc3");
  assert_shown("a\xf0\x9f", "a\\xf0\\x9f"); /* cut in a character */
}

static void counts_columns(void **state)
{
  (void)state;
  assert_int_equal(shown_width("plain"), 5);
  assert_int_equal(shown_width("größer"), 6);
  assert_int_equal(shown_width("漢字"), 4);
  assert_int_equal(shown_width("e\u0301"), 1); /* combining */
  assert_int_equal(shown_width(""), 0);
}

static void cuts_the_middle(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    int width;
    const char *expected;
  } cases[] = {{"abcdefgh", 8, "abcdefgh"},  {"abcdefgh", 7, "abc…fgh"},
               {"abcdefgh", 4, "a…gh"},      {"abcdefgh", 2, "…h"},
               {"abcdefgh", 1, "…"},         {"abcdefgh", 0, ""},
               {"漢字漢字", 7, "漢…字"},     {"漢字漢字", 6, "漢…字"},
               {"abce\u0301fg", 5, "ab…fg"}, {"abcdfge\u0301", 4, "a…ge\u0301"}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *cut = shown_cut_middle(cases[i].text, cases[i].width);
    assert_string_equal(cut, cases[i].expected);
    assert_true(shown_width(cut) <= cases[i].width);
  }
}

static struct table *make_table(void)
{
  struct table *table = table_new();
  table_add_column(table, "value", TABLE_RIGHT);
  table_add_column(table, "", TABLE_RIGHT); /* nobody puts anything there */
  table_add_column(table, "", TABLE_LEFT);
  table_begin_row(table, COLOUR_NONE);
  table_put(table, "1");
  table_put(table, "");
  table_put(table, "a_long_name");
  table_begin_row(table, COLOUR_RED);
  table_put(table, "±123456");
  table_begin_row(table, COLOUR_NONE);
  table_put(table, "12");
  table_put(table, "");
  table_put(table, "漢\n字");
  return table;
}

static void assert_table(int width, const char *expected)
{
  struct table *table = make_table();
  g_autoptr(GString) text = g_string_new(NULL);
  FILE *file = tmpfile(); /* no terminal: no colours */
  table_append(table, width, file, text);
  (void)fclose(file);
  assert_string_equal(text->str, expected);
  table_free(table);
}

static void aligns(void **state)
{
  (void)state;
  assert_table(0, "  value\n      1  a_long_name\n±123456\n     12  漢\\x0a字\n");
}

static void fits(void **state)
{
  (void)state;
  assert_table(16, "  value\n      1  a_l…ame\n±123456\n     12  漢\\…a字\n");
  assert_table(5, "  val\n     \n±1234\n     \n");
}

static void columns_go_before_half_of_the_width_does(void **state)
{
  (void)state;
  static const struct {
    int width;
    const char *line;
  } cases[] = {
      {0, "first  2nd  the_third  a_name_of_twenty_let\n"},
      {43, "first  2nd  the_third  a_name_of_twenty_let\n"},
      {42, "first  2nd  a_name_of_twenty_let\n"},
      {30, "first  2nd  a_name_o…wenty_let\n"},
      {24, "first  2nd  a_nam…ty_let\n"},
      {23, "2nd  a_name_o…wenty_let\n"},
      {10, "2nd  a_…et\n"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    struct table *table = table_new();
    g_autoptr(GString) text = g_string_new(NULL);
    table_add_column_of_rank(table, "", TABLE_LEFT, 2);
    table_add_column(table, "", TABLE_LEFT);
    table_add_column_of_rank(table, "", TABLE_LEFT, 1);
    table_add_column(table, "", TABLE_LEFT);
    table_begin_row(table, COLOUR_NONE);
    table_put(table, "first");
    table_put(table, "2nd");
    table_put(table, "the_third");
    table_put(table, "a_name_of_twenty_let");
    table_append(table, cases[i].width, stdout, text);
    assert_string_equal(text->str, cases[i].line);
    table_free(table);
  }
}

static void without_utf8(void **state)
{
  (void)state;
  assert_non_null(setlocale(LC_CTYPE, "C"));
  assert_false(shown_is_utf8());
  assert_shown("±1 × … → ├ │ └ ─", "+/-1 x ... -> + | ` -");
  assert_shown("größer", "größer"); /* a name stays what it is */
  g_autofree char *cut = shown_cut_middle("abcdefgh", 6);
  assert_string_equal(cut, "a...gh");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(escapes_what_must_not_be_sent),
      cmocka_unit_test(counts_columns),
      cmocka_unit_test(cuts_the_middle),
      cmocka_unit_test(aligns),
      cmocka_unit_test(fits),
      cmocka_unit_test(columns_go_before_half_of_the_width_does),
      cmocka_unit_test(without_utf8), /* last: the locale stays */
  };
  if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
    return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
