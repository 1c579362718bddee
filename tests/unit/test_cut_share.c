/* SPDX-License-Identifier: MIT */
#include "tools/views/cut_share.h"

#include "heap_maker.h"
#include "tools/views/rows_json.h"

/* `key` NULL: whole. */
static void add_stack(struct heap *heap, int64_t in_use, const char *key, const char *text)
{
  uint32_t place = add_place(heap, "f", 1);
  add(heap, &place, 1, (struct numbers){.objects = 1, .in_use_objects = 1, .in_use = in_use});
  heap_add_label(heap, "bytes", "", in_use, "bytes");
  if (key != NULL)
    heap_add_label(heap, key, text, 0, "");
}

static void assert_text(const struct heap *heap, const char *expected)
{
  struct cut_share share = cut_share_of(heap, INUSE_SPACE);
  g_autofree char *text = cut_share_text(&share, "inuse_space");
  if (expected == NULL)
    assert_null(text);
  else
    assert_string_equal(text, expected);
}

static void each_reason_has_its_part(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  add_stack(heap, 500, NULL, NULL);
  for (int cut = 0; cut < CUT_COUNT; cut++)
    add_stack(heap, 100 - cut, CUT_LABEL, cut_label((enum cut)cut));
  struct cut_share share = cut_share_of(heap, INUSE_SPACE);
  json_t *json = rows_json_cut(&share);
  double sum = 0;
  for (int cut = 0; cut < CUT_COUNT; cut++) {
    assert_float_equal(share.parts[cut], 100 - cut, 0);
    sum += 100 - cut;
  }
  assert_float_equal(share.whole, 500 + sum, 0);
  assert_int_equal(json_object_size(json), 1 + CUT_COUNT);
  assert_float_equal(json_number_value(json_object_get(json, "total")), sum, 0);
  assert_float_equal(json_number_value(json_object_get(json, "unknown")), 100, 0);
  assert_float_equal(json_number_value(json_object_get(json, "no_cfi")), 99, 0);
  assert_float_equal(json_number_value(json_object_get(json, "no_memory")), 95, 0);
  json_decref(json);
  heap_free(heap);
}

static void up_to_a_twentieth_nothing_is_said(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  assert_text(heap, NULL);
  add_stack(heap, 950, NULL, NULL);
  add_stack(heap, 50, CUT_LABEL, "unreadable");
  assert_text(heap, NULL);
  add_stack(heap, 1, CUT_LABEL, "unreadable");
  assert_text(heap, "5.09% of inuse_space: unreadable");
  heap_free(heap);
}

static void says_what_to_do(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  add_stack(heap, 800, NULL, NULL);
  add_stack(heap, 150, CUT_LABEL, "no CFI");
  add_stack(heap, 50, CUT_LABEL, "depth");
  assert_text(heap, "20.00% of inuse_space: 15.00% no CFI (code built with -fasynchronous-unwind-tables or "
                    "-fno-omit-frame-pointer has none), 5.00% depth (a larger HEAPPROF_DEPTH leaves fewer)");
  heap_free(heap);
}

/* Of before there were reasons, and of a later version. */
static void reasons_that_are_not_known(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  add_stack(heap, 50, "stack", "truncated");
  add_stack(heap, 50, CUT_LABEL, "a new one");
  assert_text(heap, "100% of inuse_space: for a reason that is not told");
  heap_free(heap);
}

static void labels_of_others_are_nothing(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  add_stack(heap, 50, "stack", "foreign stack");
  add_stack(heap, 50, "request", "truncated");
  assert_text(heap, NULL);
  heap_free(heap);
}

/* Of a difference that pprof made. */
static void values_below_zero(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  add_stack(heap, 50, NULL, NULL);
  add_stack(heap, -50, CUT_LABEL, "foreign stack");
  assert_text(heap, "50.00% of inuse_space: foreign stack");
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_reason_has_its_part),
      cmocka_unit_test(up_to_a_twentieth_nothing_is_said),
      cmocka_unit_test(says_what_to_do),
      cmocka_unit_test(reasons_that_are_not_known),
      cmocka_unit_test(labels_of_others_are_nothing),
      cmocka_unit_test(values_below_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
