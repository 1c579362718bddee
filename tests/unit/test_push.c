/* SPDX-License-Identifier: MIT */
/* Parts of heapprof push: what an answer means, how long to wait, what people write, and the bytes of a request. */
#include "tools/push/labels.h"
#include "tools/push/patience.h"
#include "tools/push/series.h"
#include "tools/push/verdict.h"
#include "tools/terminal/amount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void every_status_has_one_meaning(void **state)
{
  static const long refused[] = {400, 409, 413, 422}, later[] = {408, 425, 429, 500, 502, 503, 504, 599};
  (void)state;
  assert_int_equal(verdict_of(200, "application/proto"), VERDICT_TAKEN);
  assert_int_equal(verdict_of(200, "Application/Proto; charset=x"), VERDICT_TAKEN);
  assert_int_equal(verdict_of(200, "text/html"), VERDICT_MISLED);
  assert_int_equal(verdict_of(200, NULL), VERDICT_MISLED);
  assert_int_equal(verdict_of(204, "application/proto"), VERDICT_MISLED);
  for (long status = 0; status < 700; status++) {
    enum verdict expected = status >= 500 ? VERDICT_LATER : VERDICT_MISLED;
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
      expected = refused[i] == status ? VERDICT_REFUSED : expected;
    for (size_t i = 0; i < G_N_ELEMENTS(later); i++)
      expected = later[i] == status ? VERDICT_LATER : expected;
    if (status != 200)
      assert_int_equal(verdict_of(status, "application/proto"), expected);
  }
}

static void patience_doubles_up_to_a_minute(void **state)
{
  struct patience patience = {.failures = 0};
  (void)state;
  for (gint64 longest_s = 1, i = 0; i < 100; i++, longest_s = MIN(2 * longest_s, PATIENCE_SECONDS_MAX)) {
    patience_lose(&patience, 1000, 0);
    assert_in_range(patience.until_us - 1000, longest_s * G_USEC_PER_SEC / 2, longest_s * G_USEC_PER_SEC);
  }
  patience_lose(&patience, 0, 300);
  assert_int_equal(patience.until_us, 300 * (gint64)G_USEC_PER_SEC);
  patience_lose(&patience, 0, UINT64_MAX);
  assert_int_equal(patience.until_us, PATIENCE_ASKED_SECONDS_MAX * (gint64)G_USEC_PER_SEC);
  patience_end(&patience);
  assert_int_equal(patience.until_us, 0);
  patience_lose(&patience, 0, 0);
  assert_in_range(patience.until_us, G_USEC_PER_SEC / 2, G_USEC_PER_SEC);
}

static void reads_amounts(void **state)
{
  static const char *const wrong[] = {
      "", "s", "-1", "+1", " 1", "1 s", "1S", "1.5h", "1hh", "99999999999999999999", "18446744073709551615d"};
  uint64_t amount;
  (void)state;
  assert_true(amount_seconds("15", &amount) && amount == 15);
  assert_true(amount_seconds("15s", &amount) && amount == 15);
  assert_true(amount_seconds("10m", &amount) && amount == 600);
  assert_true(amount_seconds("24h", &amount) && amount == 86400);
  assert_true(amount_seconds("7d", &amount) && amount == 7 * 86400);
  for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
    assert_false(amount_seconds(wrong[i], &amount));
  assert_true(amount_bytes("0", &amount) && amount == 0);
  assert_true(amount_bytes("64K", &amount) && amount == 65536);
  assert_true(amount_bytes("1M", &amount) && amount == 1 << 20);
  assert_true(amount_bytes("2G", &amount) && amount == UINT64_C(2) << 30);
  assert_true(amount_bytes("1T", &amount) && amount == UINT64_C(1) << 40);
  assert_false(amount_bytes("1k", &amount) || amount_bytes("1GB", &amount) || amount_bytes("16777216T", &amount));
}

static void labels_survive_as_text(void **state)
{
  static const char *const wrong[] = {"",         "a=b",  "a\n",   "a=\n",     "a=b\n\n",
                                      "a=b\nc\n", "=b\n", "1=b\n", "a=\x01\n", "a=\xff\n"};
  GTree *labels = labels_new(), *again;
  (void)state;
  assert_true(labels_give(labels, "b=x=y", NULL) && labels_give(labels, "a=\xc3\xa4 b", NULL));
  g_autoptr(GString) text = labels_text(labels);
  assert_string_equal(text->str, "a=\xc3\xa4 b\nb=x=y\n");
  again = labels_of_text(text->str);
  assert_string_equal(g_tree_lookup(again, "b"), "x=y");
  assert_int_equal(g_tree_nnodes(again), 2);
  for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
    assert_null(labels_of_text(wrong[i]));
  g_tree_unref(labels);
  g_tree_unref(again);
}

static void at_most_twenty_labels(void **state)
{
  GTree *labels = labels_new();
  (void)state;
  for (int i = 0; i < LABELS_GIVEN_MAX; i++) {
    g_autofree char *text = g_strdup_printf("n%d=v", i);
    assert_true(labels_give(labels, text, NULL));
  }
  g_autoptr(GError) error = NULL;
  assert_false(labels_give(labels, "more=v", &error));
  assert_string_equal(error->message, "--label 'more=v': there may be 20");
  g_tree_unref(labels);
}

/* By hand, from the definition of the messages. */
static void a_request_to_the_byte(void **state)
{
  static const uint8_t expected[] = {0x0a, 0x12, 0x0a, 0x06, 0x0a, 0x01, 'a', 0x12, 0x01, 'b',
                                     0x12, 0x08, 0x0a, 0x03, 'p',  'q',  'r', 0x12, 0x01, 'i'};
  GTree *labels = labels_new();
  g_autoptr(GBytes) profile = g_bytes_new_static("pqr", 3);
  g_autoptr(GByteArray) request = g_byte_array_new();
  (void)state;
  assert_true(labels_give(labels, "a=b", NULL));
  series_append(request, labels, profile, "i");
  assert_int_equal(request->len, sizeof expected);
  assert_memory_equal(request->data, expected, sizeof expected);
  series_append(request, labels, profile, "i");
  assert_int_equal(request->len, 2 * sizeof expected);
  g_tree_unref(labels);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_status_has_one_meaning),
      cmocka_unit_test(patience_doubles_up_to_a_minute),
      cmocka_unit_test(reads_amounts),
      cmocka_unit_test(labels_survive_as_text),
      cmocka_unit_test(at_most_twenty_labels),
      cmocka_unit_test(a_request_to_the_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
