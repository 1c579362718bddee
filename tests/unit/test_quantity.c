/* SPDX-License-Identifier: MIT */
#include "tools/terminal/quantity.h"

#include "tools/terminal/say.h"
#include "unit.h"

#include <glib.h>
#include <math.h>

static void test_quantities_read_as_in_pprof(void **state)
{
  (void)state;
  assert_string_equal(quantity(0, "bytes").text, "0");
  assert_string_equal(quantity(-0.0, "bytes").text, "0");
  assert_string_equal(quantity(512, "bytes").text, "512B");
  assert_string_equal(quantity(1023, "bytes").text, "1023B");
  assert_string_equal(quantity(1024, "bytes").text, "1kB");
  assert_string_equal(quantity(1536, "bytes").text, "1.50kB");
  assert_string_equal(quantity(-1536, "bytes").text, "-1.50kB");
  assert_string_equal(quantity((1 << 20) - 1, "bytes").text, "1024kB");
  assert_string_equal(quantity(1e15, "bytes").text, "909.49TB");
  assert_string_equal(quantity(0x1p63, "bytes").text, "8192PB");
  assert_string_equal(quantity(12345, "count").text, "12345");
  assert_string_equal(quantity(0, "count").text, "0");
  assert_string_equal(quantity(-0.2, "count").text, "0");
  assert_string_equal(quantity(1e7, "nanoseconds").text, "10ms");
  assert_string_equal(quantity(90, "seconds").text, "90s");
  assert_string_equal(quantity(5400, "seconds").text, "1.50hrs");
}

static void test_quantities_of_anything_fit(void **state)
{
  (void)state;
  static const double values[] = {1e300, -1e300, INFINITY, -INFINITY, NAN, 1e-300};
  for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
    assert_in_range(strlen(quantity(values[i], "bytes").text), 1, 31);
    assert_in_range(strlen(quantity(values[i], "count").text), 1, 31);
    assert_in_range(strlen(quantity_signed(values[i], "bytes").text), 1, 31);
    assert_in_range(strlen(quantity_error(1, values[i], "bytes").text), 1, 31);
    assert_in_range(strlen(quantity_percentage(values[i], 1).text), 1, 31);
    assert_in_range(strlen(quantity_duration(values[i]).text), 1, 31);
  }
}

static void test_signs_and_errors(void **state)
{
  (void)state;
  assert_string_equal(quantity_signed(2048, "bytes").text, "+2kB");
  assert_string_equal(quantity_signed(-2048, "bytes").text, "-2kB");
  assert_string_equal(quantity_signed(0, "bytes").text, "0");
  assert_string_equal(quantity_error(5000, 1e6, "bytes").text, "±1.91kB");
  assert_string_equal(quantity_error(5000, 0, "bytes").text, "exact");
  assert_string_equal(quantity_error(0, 0, "bytes").text, "");
  assert_true(fabs(quantity_half_width(100) - 19.6) < 0.01);
  assert_true(quantity_half_width(-1) == 0);
}

static void test_percentages_read_as_in_pprof(void **state)
{
  (void)state;
  assert_string_equal(quantity_percentage(1, 3).text, "33.33%");
  assert_string_equal(quantity_percentage(1, 1).text, "100%");
  assert_string_equal(quantity_percentage(99.96, 100).text, "100%");
  assert_string_equal(quantity_percentage(-1, 4).text, "-25.00%");
  assert_string_equal(quantity_percentage(1, 200).text, "0.5%");
  assert_string_equal(quantity_percentage(0, 10).text, "0%");
  assert_string_equal(quantity_percentage(-0.0, 10).text, "0%");
  assert_string_equal(quantity_percentage(5, 0).text, "0%");
}

static void test_durations(void **state)
{
  (void)state;
  assert_string_equal(quantity_duration(3.21).text, "3.2 s");
  assert_string_equal(quantity_duration(-1).text, "0.0 s");
  assert_string_equal(quantity_duration(312).text, "5m 12s");
  assert_string_equal(quantity_duration(3600).text, "1h 0m");
  assert_string_equal(quantity_duration(2 * 86400 + 3 * 3600).text, "2d 3h");
}

/* What reaches a terminal. */

static void assert_printable(const char *text, const char *expected)
{
  g_autofree char *shown = printable(text);
  assert_string_equal(shown, expected);
}

static void test_what_a_terminal_gets(void **state)
{
  (void)state;
  assert_printable("std::vector<int>::push_back", "std::vector<int>::push_back");
  assert_printable("größe 日本", "größe 日本");
  assert_printable("\033[2J\007\b\n\r\t\x7f", "\\x1b[2J\\x07\\x08\\x0a\\x0d\\x09\\x7f");
  assert_printable("\xc2\x9b"
                   "31m",
                   "\\xc2\\x9b31m"); /* CSI above 0x7f */
  assert_printable("\x9b"
                   "31m",
                   "\\x9b31m"); /* the same for a terminal without UTF-8 */
  assert_printable("a\xe2\x80\xae"
                   "b",
                   "a\\xe2\\x80\\xaeb"); /* writes from right to left */
  assert_printable("a\xe2\x80\xa8"
                   "b",
                   "a\\xe2\\x80\\xa8b"); /* line separator */
  assert_printable("\xff\xc3", "\\xff\\xc3");
  assert_printable("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
  assert_printable("", "");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_quantities_read_as_in_pprof),
      cmocka_unit_test(test_quantities_of_anything_fit),
      cmocka_unit_test(test_signs_and_errors),
      cmocka_unit_test(test_percentages_read_as_in_pprof),
      cmocka_unit_test(test_durations),
      cmocka_unit_test(test_what_a_terminal_gets),
  };
  return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
