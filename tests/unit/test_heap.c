/* SPDX-License-Identifier: MIT */
#include "tools/heap/heap.h"

#include "heaps.h"
#include "tools/heap/sums.h"
#include "tools/source/source.h"

static void test_texts_are_interned(void **state)
{
  (void)state;
  struct heap *heap = heap_new(NULL);
  char name[] = "name";
  const char *text = heap_text(heap, name);
  name[0] = 'N';
  assert_string_equal(text, "name");
  assert_ptr_equal(heap_text(heap, "name"), text);
  assert_ptr_equal(heap_text_of_bytes(heap, "names", 4), text);
  assert_ptr_equal(heap_text(heap, NULL), heap_text(heap, ""));
  assert_string_equal(heap->name, "");
  heap_free(heap);
  heap_free(NULL);
}

static void test_texts_are_utf8(void **state)
{
  (void)state;
  struct heap *heap = heap_new("test");
  static const char *const spoiled[] = {"\xff", "a\x80z", "\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"};
  for (size_t i = 0; i < G_N_ELEMENTS(spoiled); i++) {
    assert_true(g_utf8_validate(heap_text(heap, spoiled[i]), -1, NULL));
    assert_true(g_utf8_validate(heap_text_of_bytes(heap, spoiled[i], strlen(spoiled[i])), -1, NULL));
  }
  assert_string_equal(heap_text(heap, "größe"), "größe");
  assert_string_equal(heap_text_of_bytes(heap, "\0", 1), "\xef\xbf\xbd");
  assert_string_equal(heap_text_of_bytes(heap, "", 0), "");
  heap_free(heap);
}

static void test_functions_are_told_apart_by_all_they_have(void **state)
{
  (void)state;
  struct heap *heap = heap_new("test");
  struct heap_function function = {.name = "f", .system_name = "_f", .file = "f.c", .start_line = 1}, other = function;
  uint32_t first = heap_add_function(heap, function);
  assert_int_equal(heap_add_function(heap, function), first);
  other.start_line = 2;
  assert_int_not_equal(heap_add_function(heap, other), first);
  other = function;
  other.file = "g.c";
  assert_int_not_equal(heap_add_function(heap, other), first);
  other = function;
  other.system_name = NULL;
  assert_int_not_equal(heap_add_function(heap, other), first);
  assert_int_equal(heap->functions->len, 4);
  heap_free(heap);
}

static void test_lines_are_replaced(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  struct heap_line lines[] = {{1, 10}, {0, 20}};
  heap_set_lines(heap, 0, lines, 2);
  const struct heap_location *location = heap_location(heap, 0);
  assert_int_equal(location->line_count, 2);
  assert_int_equal(heap_lines(heap, location)[1].line, 20);
  assert_int_equal(heap_lines(heap, heap_location(heap, 1))->line, 7);
  heap_set_lines(heap, 0, NULL, 0);
  assert_int_equal(heap_location(heap, 0)->line_count, 0);
  heap_free(heap);
}

static void test_variances_stay_in_step(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  const uint32_t frame = 0;
  heap_add_sample(heap, &frame, 1, (const int64_t[]){1, 2, 3, 4}, NULL); /* no variances: zeros */
  heaps_add_sample(heap, &frame, 1, 8, 16);
  assert_int_equal(heap->variances->len, heap->values->len);
  assert_true(heap_variance(heap, 1, 3) == 4);
  assert_true(heap_variance(heap, 2, 0) == 0);
  assert_true(heap_variance(heap, 3, 0) == 4);
  assert_int_equal(heap_values(heap, 3)[1], 16);
  heap_free(heap);
}

static void test_comments(void **state)
{
  (void)state;
  struct heap *heap = heap_new("test");
  uint64_t number = 7;
  heap_add_comment(heap, "samples", "%d", 12);
  heap_add_comment(heap, "samples.lost", "%s", "-1");
  heap_add_comment(heap, "command", "a: b: %%");
  g_ptr_array_add(heap->comments, (char *)(uintptr_t)heap_text(heap, "pid: 3"));
  assert_string_equal(heap_comment(heap, "command"), "a: b: %");
  assert_true(heap_comment_number(heap, "samples", &number));
  assert_int_equal(number, 12);
  assert_false(heap_comment_number(heap, "samples.lost", &number));
  assert_false(heap_comment_number(heap, "command", &number));
  assert_null(heap_comment(heap, "pid"));
  assert_null(heap_comment(heap, "sample"));
  heap_free(heap);
}

static void test_types_are_found_as_pprof_finds_them(void **state)
{
  (void)state;
  struct heap *heap = heap_new("test");
  assert_int_equal(heap_find_type(heap, NULL), -1);
  heap_set_usual_types(heap);
  assert_int_equal(heap_find_type(heap, NULL), 3);
  assert_int_equal(heap_find_type(heap, ""), 3);
  assert_int_equal(heap_find_type(heap, "alloc_objects"), 0);
  assert_int_equal(heap_find_type(heap, "objects"), 2);
  assert_int_equal(heap_find_type(heap, "inuse_"), -1);
  assert_int_equal(heap_find_type(heap, "alloc"), -1);
  heap->default_type = heap_text(heap, "alloc_space");
  assert_int_equal(heap_find_type(heap, ""), 1);
  heap->default_type = heap_text(heap, "gone");
  assert_int_equal(heap_find_type(heap, ""), 3);
  heap_type(heap, 2)->name = heap_text(heap, "objects");
  assert_int_equal(heap_find_type(heap, "inuse_objects"), 2);
  g_autofree char *names = heap_type_names(heap);
  assert_string_equal(names, "alloc_objects, alloc_space, objects, inuse_space");
  heap_free(heap);
}

/* Sums. */

static void test_sums_replace_their_samples(void **state)
{
  (void)state;
  struct heap *heap = heaps_make();
  const uint32_t deep[] = {2, 1, 0}, none[] = {0};
  heaps_add_sample(heap, none, 0, 3, 30);
  heaps_add_sample(heap, deep, 3, 1, 10);
  heaps_add_sample(heap, deep, 3, -11, -1010); /* takes back what the others added */
  heap_values(heap, 4)[2] = heap_values(heap, 4)[3] = 0;
  heap_values(heap, 3)[2] = heap_values(heap, 3)[3] = 0;
  heap_values(heap, 0)[2] = heap_values(heap, 0)[3] = 0;
  GArray *sums = sums_of(heap);
  assert_int_equal(sums->len, 2);
  sums_apply(heap, sums);
  g_array_free(sums, TRUE);
  assert_int_equal(heap->samples->len, 2);
  assert_int_equal(heap_values(heap, 0)[1], 60);
  assert_int_equal(heap_sample(heap, 0)->label_count, 2);
  assert_string_equal(g_array_index(heap->labels, struct heap_label, heap_sample(heap, 0)->first_label).text,
                      "truncated");
  assert_int_equal(heap_frames(heap, heap_sample(heap, 0))[1], 0);
  assert_int_equal(heap_sample(heap, 1)->frame_count, 0);
  assert_int_equal(heap->variances->len, heap->values->len);
  heap_free(heap);
}

/* Frames that readers drop. */

static struct heap *stack_of(const char *const *names, uint32_t count)
{
  struct heap *heap = heap_new("stack");
  heap_set_usual_types(heap);
  uint32_t mapping = heaps_add_mapping(heap, "/bin/app", 0x400000);
  uint32_t frames[16];
  for (uint32_t i = 0; i < count; i++)
    frames[i] = heaps_add_place(heap, mapping, 0x400001 + i, names[i]);
  heaps_add_sample(heap, frames, count, 1, 1);
  return heap;
}

/* The frames that are left of the stack, innermost first. */
static void check_dropped(const char *drop, const char *keep, const char *stack, const char *left)
{
  g_auto(GStrv) names = g_strsplit(stack, " ", -1);
  struct heap *heap = stack_of((const char *const *)names, g_strv_length(names));
  heap->drop_frames = heap_text(heap, drop);
  heap->keep_frames = heap_text(heap, keep);
  source_drop_frames(heap);
  const struct heap_sample *sample = heap_sample(heap, 0);
  g_autoptr(GString) found = g_string_new("");
  for (uint32_t i = 0; i < sample->frame_count; i++) {
    const struct heap_location *location = heap_location(heap, heap_frames(heap, sample)[i]);
    g_string_append_printf(found, "%s%s", i > 0 ? " " : "",
                           heap_function(heap, heap_lines(heap, location)->function)->name);
  }
  assert_string_equal(found->str, left);
  heap_free(heap);
}

static void test_dropped_frames(void **state)
{
  (void)state;
  check_dropped("", "", "malloc f main", "malloc f main");
  check_dropped("malloc|calloc", "", "malloc f main", "f main");
  check_dropped("malloc", "", "malloc2 f main", "malloc2 f main");
  check_dropped("malloc", "", "my_malloc f main", "my_malloc f main");
  check_dropped("m.*", "", "sbrk malloc f main", "f main"); /* at the root they stay until the program begins */
  check_dropped("m.*", "main", "sbrk malloc f main", "f main");
  check_dropped("m.*", "main|mall.*", "malloc f main", "malloc f main");
  check_dropped("malloc", "", "malloc f malloc g main", "g main"); /* what is nearest the root */
  check_dropped("malloc", "", "malloc", "malloc");
  check_dropped("f", "", "f(int) g", "g");
  check_dropped("operator\\(\\)", "", "operator()(int) g", "g");
  check_dropped("\\(anonymous namespace\\)::f", "", "(anonymous\xc2\xa0namespace)::f g",
                "(anonymous\xc2\xa0namespace)::f g");
  check_dropped("f", "", ".f g", "g");
}

static void test_expressions_that_are_none_drop_nothing(void **state)
{
  (void)state;
  check_dropped("malloc(", "", "malloc f main", "malloc f main");
  check_dropped("malloc", "(", "malloc f main", "malloc f main");
  check_dropped("(a+)+b|malloc", "", "malloc aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac main",
                "malloc aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac main");
  check_dropped("(a+)+b", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac f main",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac f main");
}

/* Inlined: what was called from the function that goes, goes; what it was inlined into stays. */
static void test_dropped_inlined_frames(void **state)
{
  (void)state;
  static const char *const names[] = {"leaf", "f", "main"};
  struct heap *heap = stack_of(names, 3);
  struct heap_line lines[3];
  static const char *const inlined[] = {"wrapper", "malloc", "caller"};
  for (size_t i = 0; i < 3; i++)
    lines[i] = (struct heap_line){heap_add_function(heap, (struct heap_function){.name = inlined[i]}), 1};
  heap_set_lines(heap, 1, lines, 3);
  heap->drop_frames = heap_text(heap, "malloc");
  source_drop_frames(heap);
  const struct heap_sample *sample = heap_sample(heap, 0);
  assert_int_equal(sample->frame_count, 2);
  const struct heap_location *location = heap_location(heap, heap_frames(heap, sample)[0]);
  assert_int_equal(location->line_count, 1);
  assert_string_equal(heap_function(heap, heap_lines(heap, location)->function)->name, "caller");
  heap_free(heap);
}

static void test_process_ids(void **state)
{
  (void)state;
  int pid = 0;
  assert_true(source_is_pid("4711", &pid));
  assert_int_equal(pid, 4711);
  static const char *const others[] = {
      "", "0", "-1", "+1", " 1", "1 ", "0x1", "./1", "1.pb.gz", "2147483648", "99999999999999999999"};
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
    assert_false(source_is_pid(others[i], &pid));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_texts_are_interned),
      cmocka_unit_test(test_texts_are_utf8),
      cmocka_unit_test(test_functions_are_told_apart_by_all_they_have),
      cmocka_unit_test(test_lines_are_replaced),
      cmocka_unit_test(test_variances_stay_in_step),
      cmocka_unit_test(test_comments),
      cmocka_unit_test(test_types_are_found_as_pprof_finds_them),
      cmocka_unit_test(test_sums_replace_their_samples),
      cmocka_unit_test(test_dropped_frames),
      cmocka_unit_test(test_expressions_that_are_none_drop_nothing),
      cmocka_unit_test(test_dropped_inlined_frames),
      cmocka_unit_test(test_process_ids),
  };
  return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
