/* SPDX-License-Identifier: MIT */
/* Parts of heapprof push: what an answer means, how long to wait, what people write, and the bytes of a request. */
#include "tools/push/aside.h"
#include "tools/push/entry.h"
#include "tools/push/labels.h"
#include "tools/push/newest.h"
#include "tools/push/patience.h"
#include "tools/push/series.h"
#include "tools/push/verdict.h"
#include "tools/terminal/amount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
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

/* What a server does not take while it may take the rest. */

static const gint64 second_us = G_USEC_PER_SEC, hour_us = ASIDE_SECONDS_MAX * (gint64)G_USEC_PER_SEC;

static void processes_are_passed_over_until_one_is_taken(void **state)
{
  struct aside aside;
  (void)state;
  aside_init(&aside);
  assert_false(aside_has_process(&aside, 7));
  aside_fail(&aside, 7);
  assert_true(aside_has_process(&aside, 7));
  assert_false(aside_has_process(&aside, 8));
  aside_take(&aside, 7);
  assert_false(aside_has_process(&aside, 7));
  aside_clear(&aside);
}

static void entries_are_due_in_turn(void **state)
{
  struct aside aside;
  (void)state;
  aside_init(&aside);
  assert_null(aside_due(&aside, INT64_MAX));
  aside_hold(&aside, "2", 0);
  aside_hold(&aside, "1", 0);
  assert_int_equal(aside_count(&aside), 2);
  assert_null(aside_due(&aside, 0));
  assert_string_equal(aside_due(&aside, second_us), "1");
  assert_false(aside_fail_again(&aside, "1", true, second_us));
  assert_null(aside_due(&aside, second_us));
  assert_string_equal(aside_due(&aside, 3 * second_us), "2");
  aside_hold(&aside, "1", 3 * second_us); /* it is there already, and was tried */
  assert_string_equal(aside_due(&aside, 3 * second_us), "2");
  aside_forget(&aside, "2");
  assert_string_equal(aside_due(&aside, 3 * second_us), "1");
  assert_false(aside_fail_again(&aside, "1", true, 3 * second_us));
  assert_null(aside_due(&aside, 3 * second_us));
  aside_succeed(&aside);
  assert_string_equal(aside_due(&aside, 3 * second_us), "1");
  aside_clear(&aside);
}

static void what_fails_alone_for_an_hour_is_given_up(void **state)
{
  struct aside aside;
  (void)state;
  aside_init(&aside);
  aside_hold(&aside, "1", 0);
  for (int i = 0; i < 100; i++) /* all that time the server took nothing else */
    assert_false(aside_fail_again(&aside, "1", false, 2 * hour_us));
  for (int i = 1; i < ASIDE_TRIES_MIN; i++)
    assert_false(aside_fail_again(&aside, "1", true, 2 * hour_us));
  assert_true(aside_fail_again(&aside, "1", true, 2 * hour_us));
  aside_hold(&aside, "2", 2 * hour_us);
  for (int i = 0; i < 100; i++) /* not for so long */
    assert_false(aside_fail_again(&aside, "2", true, 3 * hour_us - 1));
  assert_true(aside_fail_again(&aside, "2", true, 3 * hour_us));
  assert_false(aside_fail_again(&aside, "3", true, 3 * hour_us));
  aside_clear(&aside);
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

/* The queue. */

static GBytes *file_of(GByteArray *bytes)
{
  return g_byte_array_free_to_bytes(bytes);
}

static void a_cut_file_is_none(void **state)
{
  GByteArray *bytes = g_byte_array_new();
  g_autoptr(GBytes) contents = g_bytes_new_static("profile", 7);
  (void)state;
  records_append(bytes, (struct queue_source){7, 8}, "a=b\n", contents);
  guint first = bytes->len;
  records_append(bytes, (struct queue_source){9, 8}, "", NULL);
  g_autoptr(GBytes) file = file_of(bytes);
  g_autoptr(GArray) records = records_of(file);
  assert_int_equal(records->len, 2);
  const struct record *record = &g_array_index(records, struct record, 0);
  assert_int_equal(record->source.pid, 7);
  assert_memory_equal(record->text, "a=b\n", record->text_size);
  assert_memory_equal(record->bytes, "profile", record->size);
  for (gsize size = 0; size < g_bytes_get_size(file); size++) {
    g_autoptr(GBytes) part = g_bytes_new_from_bytes(file, 0, size);
    g_autoptr(GArray) found = records_of(part);
    assert_true(size == first ? found->len == 1 : found == NULL);
  }
}

struct queue_folder {
  char *path;
  struct queue queue;
  int64_t last_ns;
};

static void begin_queue(struct queue_folder *folder)
{
  folder->path = g_dir_make_tmp("heapprof-queue-XXXXXX", NULL);
  folder->last_ns = 0;
  assert_true(queue_open(&folder->queue, folder->path, 1 << 20, NULL));
}

static void end_queue(struct queue_folder *folder)
{
  g_autofree char *lock = g_build_filename(folder->path, "lock", NULL);
  queue_close(&folder->queue);
  assert_int_equal(g_unlink(lock), 0);
  assert_int_equal(g_rmdir(folder->path), 0);
  g_free(folder->path);
}

/* One byte for each process; 0: it has none any more. */
static void add_marks(struct queue_folder *folder, struct newest *newest, const char *processes, const char *marks)
{
  g_autoptr(GByteArray) nothing = g_byte_array_new();
  GByteArray *bytes = g_byte_array_new();
  for (size_t i = 0; processes[i] != '\0'; i++) {
    g_autoptr(GBytes) mark = g_bytes_new(&marks[i], marks[i] != '0');
    records_append(bytes, (struct queue_source){processes[i], 1}, "", mark);
  }
  g_autofree char *name = queue_add(&folder->queue, folder->last_ns, nothing, bytes, NULL);
  assert_non_null(name);
  assert_true(queue_read_name(name, &folder->last_ns));
  g_autoptr(GBytes) file = file_of(bytes);
  newest_note(newest, name, file);
  newest_tidy(newest);
}

static char mark_of(struct newest *newest, char process)
{
  g_autoptr(GBytes) marks = newest_marks(newest, (struct queue_source){process, 1});
  return marks != NULL ? *(const char *)g_bytes_get_data(marks, NULL) : '0';
}

static guint count_entries(const struct queue_folder *folder)
{
  g_autoptr(GPtrArray) names = queue_names(&folder->queue, QUEUE_MARKS);
  return names->len;
}

static struct newest *read_again(const struct queue_folder *folder, struct newest *newest)
{
  newest_free(newest);
  return newest_new(&folder->queue);
}

static void marks_of_the_ended_stay_away(void **state)
{
  struct queue_folder folder;
  (void)state;
  begin_queue(&folder);
  struct newest *newest = newest_new(&folder.queue);
  add_marks(&folder, newest, "ab", "12");
  add_marks(&folder, newest, "a", "0");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(mark_of(newest, 'a'), '0');
    assert_int_equal(mark_of(newest, 'b'), '2');
    assert_int_equal(count_entries(&folder), 2); /* without the second the first would tell of a */
    newest = read_again(&folder, newest);
  }
  add_marks(&folder, newest, "b", "3");
  newest = read_again(&folder, newest);
  assert_int_equal(mark_of(newest, 'b'), '3');
  assert_int_equal(count_entries(&folder), 1);
  newest_forget(newest, (struct queue_source){'b', 1});
  newest_tidy(newest);
  assert_int_equal(count_entries(&folder), 0);
  newest_free(newest);
  end_queue(&folder);
}

/* Seen to fail: entries went the oldest first, so one process whose marks did not change kept all that came later. */
static void marks_that_nobody_needs_go_wherever_they_are(void **state)
{
  struct queue_folder folder;
  (void)state;
  begin_queue(&folder);
  struct newest *newest = newest_new(&folder.queue);
  add_marks(&folder, newest, "ab", "11");
  for (int i = 0; i < 3; i++) {
    add_marks(&folder, newest, "b", "2");
    assert_int_equal(count_entries(&folder), 2);
  }
  add_marks(&folder, newest, "b", "0");
  newest = read_again(&folder, newest);
  assert_int_equal(count_entries(&folder), 2); /* without the last the first would tell of b */
  assert_int_equal(mark_of(newest, 'b'), '0');
  newest_forget(newest, (struct queue_source){'a', 1});
  newest_tidy(newest);
  assert_int_equal(count_entries(&folder), 0);
  newest_free(newest);
  end_queue(&folder);
}

/* Its record stays as long as there are older ones, which would come up. */
static void what_is_forgotten_does_not_come_back(void **state)
{
  struct queue_folder folder;
  (void)state;
  begin_queue(&folder);
  struct newest *newest = newest_new(&folder.queue);
  add_marks(&folder, newest, "ab", "11");
  add_marks(&folder, newest, "b", "2");
  newest_forget(newest, (struct queue_source){'b', 1});
  newest_tidy(newest);
  assert_int_equal(mark_of(newest, 'b'), '0');
  newest = read_again(&folder, newest);
  assert_int_equal(mark_of(newest, 'b'), '2');
  add_marks(&folder, newest, "ab", "00");
  assert_int_equal(count_entries(&folder), 0);
  newest_free(newest);
  end_queue(&folder);
}

/* Seen to fail: then it was as if nothing had been told of any process. */
static void marks_that_somebody_removes_are_still_known(void **state)
{
  struct queue_folder folder;
  (void)state;
  begin_queue(&folder);
  struct newest *newest = newest_new(&folder.queue);
  add_marks(&folder, newest, "ab", "12");
  assert_true(newest_is_whole(newest));
  g_autoptr(GPtrArray) names = queue_names(&folder.queue, QUEUE_MARKS);
  queue_drop_marks(&folder.queue, g_ptr_array_index(names, 0));
  assert_false(newest_is_whole(newest));
  assert_int_equal(mark_of(newest, 'b'), '2');
  add_marks(&folder, newest, "ab", "12");
  assert_true(newest_is_whole(newest));
  add_marks(&folder, newest, "ab", "00");
  newest_free(newest);
  end_queue(&folder);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_status_has_one_meaning),
      cmocka_unit_test(patience_doubles_up_to_a_minute),
      cmocka_unit_test(processes_are_passed_over_until_one_is_taken),
      cmocka_unit_test(entries_are_due_in_turn),
      cmocka_unit_test(what_fails_alone_for_an_hour_is_given_up),
      cmocka_unit_test(reads_amounts),
      cmocka_unit_test(labels_survive_as_text),
      cmocka_unit_test(at_most_twenty_labels),
      cmocka_unit_test(a_request_to_the_byte),
      cmocka_unit_test(a_cut_file_is_none),
      cmocka_unit_test(marks_of_the_ended_stay_away),
      cmocka_unit_test(marks_that_nobody_needs_go_wherever_they_are),
      cmocka_unit_test(what_is_forgotten_does_not_come_back),
      cmocka_unit_test(marks_that_somebody_removes_are_still_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
