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
  struct cut_share share = cut_share_of(heap, INUSE_SPACE, NULL);
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
  struct cut_share share = cut_share_of(heap, INUSE_SPACE, NULL);
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

/* With the file where most of what has no unwind information is, if there is one. */
static void says_what_to_do(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  add_stack(heap, 800, NULL, NULL);
  add_stack(heap, 150, CUT_LABEL, "no CFI");
  add_stack(heap, 50, CUT_LABEL, "depth");
  assert_text(heap,
              "20.00% of inuse_space: 15.00% no CFI (most of it in libfoo.so.1; build that with "
              "-fasynchronous-unwind-tables or -fno-omit-frame-pointer), 5.00% depth (set HEAPPROF_DEPTH higher)");
  heap_free(heap);
}

static void add_in(struct heap *heap, const char *path, int64_t in_use)
{
  uint32_t mapping = heap_add_mapping(heap, (struct heap_mapping){.start = 1 << 20, .limit = 1 << 21, .path = path});
  const uint32_t frames[] = {add_place(heap, "f", 1),
                             heap_add_location(heap, (1 << 20) + heap->locations->len, mapping)};
  add(heap, frames, 2, (struct numbers){.in_use = in_use});
  heap_add_label(heap, CUT_LABEL, "no CFI", 0, "");
}

/* The stack ends in a function with a name. */
static void add_in_function(struct heap *heap, const char *path, const char *name, int64_t in_use)
{
  add_in(heap, path, in_use);
  uint32_t named = add_place(heap, name, 1);
  const struct heap_sample *sample = heap_sample(heap, heap->samples->len - 1);
  struct heap_location *end = heap_location(heap, heap_frames(heap, sample)[1]);
  end->first_line = heap_location(heap, named)->first_line;
  end->line_count = 1;
}

static void assert_most_in(const struct heap *heap, const bool *is_shown, const char *path)
{
  struct cut_share share = cut_share_of(heap, INUSE_SPACE, is_shown);
  if (path == NULL)
    assert_null(share.no_cfi_in);
  else
    assert_string_equal(share.no_cfi_in, path);
}

static void most_is_more_than_half(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  assert_most_in(heap, NULL, NULL);
  add_in(heap, "/lib/a", 50);
  assert_most_in(heap, NULL, "/lib/a");
  add_in(heap, "//anon", 50);
  assert_most_in(heap, NULL, NULL);
  add_in(heap, "/lib/a", 1);
  assert_most_in(heap, NULL, "/lib/a");
  assert_most_in(heap, (const bool[]){false, true, true}, "//anon");
  add_in(heap, "/lib/b", 40);
  assert_most_in(heap, NULL, NULL);
  heap_free(heap);
}

static void where_it_is_in_no_file_or_in_several(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  add_in(heap, "//anon", 50);
  assert_text(heap, "100% of inuse_space: no CFI (most of it in generated code; what makes it may have an option for "
                    "frame pointers)");
  add_in(heap, "/lib/a", 50);
  assert_text(heap, "100% of inuse_space: no CFI (build that code with -fasynchronous-unwind-tables or "
                    "-fno-omit-frame-pointer)");
  heap_free(heap);
}

/* The compiler's options would not help: seen to be advised. */
static void generated_code_and_haskell(void **state)
{
  (void)state;
  static const char *const names[] = {"Main_main2_info", "base_GHCziBase_map_info", "sat_s1aB_info", "c4kL_info",
                                      "stg_ap_pv_fast"};
  struct heap *heap = make_heap(true);
  add_in(heap, "[jit]", 50);
  assert_text(heap, "100% of inuse_space: no CFI (most of it in generated code; what makes it may have an option for "
                    "frame pointers)");
  heap_free(heap);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    heap = make_heap(true);
    add_in_function(heap, "/usr/bin/pandoc", names[i], 50);
    assert_text(
        heap, "100% of inuse_space: no CFI (most of it called by Haskell code, whose frames no option makes readable)");
    heap_free(heap);
  }
  heap = make_heap(true);
  add_in_function(heap, "/usr/bin/tool", "print_info", 50);
  add_in_function(heap, "/usr/bin/tool", "get_user_info", 50);
  assert_most_in(heap, NULL, "/usr/bin/tool");
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
      cmocka_unit_test(most_is_more_than_half),
      cmocka_unit_test(where_it_is_in_no_file_or_in_several),
      cmocka_unit_test(generated_code_and_haskell),
      cmocka_unit_test(reasons_that_are_not_known),
      cmocka_unit_test(labels_of_others_are_nothing),
      cmocka_unit_test(values_below_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
