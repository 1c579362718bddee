/* SPDX-License-Identifier: MIT */
/* Profiles added up. */
#include "tools/heap/combine.h"

#include "heaps.h"
#include "tools/heap/stand_in.h"
#include "tools/views/folded.h"

#include <glib.h>

enum { FOLDED_MAX = 4096 };

static struct heap *combine(struct heap *const *heaps, size_t count)
{
  struct combiner *combiner = combiner_new();
  for (size_t i = 0; i < count; i++) {
    g_autoptr(GError) error = NULL;
    if (!combiner_add(combiner, heaps[i], &error))
      fail_msg("%s", error->message);
  }
  return combiner_end(combiner);
}

static void free_all(struct heap *const *heaps, size_t count)
{
  for (size_t i = 0; i < count; i++)
    heap_free(heaps[i]);
}

static void assert_folded(const struct heap *heap, int type, enum places_by by, const char *expected)
{
  static char text[FOLDED_MAX];
  FILE *stream = fmemopen(text, sizeof text, "w");
  folded_print(stream, heap, type, by);
  fclose(stream);
  assert_string_equal(text, expected);
}

/* The whole address space layout moved by so much. */
static void slide(struct heap *heap, uint64_t distance)
{
  for (uint32_t i = 0; i < heap->mappings->len; i++) {
    heap_mapping(heap, i)->start += distance;
    heap_mapping(heap, i)->limit += distance;
  }
  for (uint32_t i = 0; i < heap->locations->len; i++)
    heap_location(heap, i)->address += distance;
}

static const struct heap_mapping *mapping_of_path(const struct heap *heap, const char *path)
{
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    if (strcmp(heap_mapping(heap, i)->path, path) == 0)
      return heap_mapping(heap, i);
  return NULL;
}

/* Of a program and one library at `start`, one sample: name < main. */
static struct heap *process(const char *library, uint64_t start, const char *name)
{
  struct heap *heap = heap_new(library);
  heap_set_usual_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  uint32_t program = heaps_add_mapping(heap, "/bin/app", 0x400000), mapping = heaps_add_mapping(heap, library, start);
  heap_mapping(heap, mapping)->build_id = heap_text(heap, g_str_has_prefix(library, "/lib/") ? library + 5 : "");
  const uint32_t frames[] = {heaps_add_place(heap, mapping, start + 0x100, name),
                             heaps_add_place(heap, program, 0x400100, "main")};
  heaps_add_sample(heap, frames, 2, 2, 200);
  return heap;
}

static void assert_addresses_differ(const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    const struct heap_mapping *mapping = heap_mapping(heap, location->mapping);
    assert_in_range(location->address, mapping->start, mapping->limit - 1);
    for (uint32_t other = 0; other < i; other++)
      assert_int_not_equal(location->address, heap_location(heap, other)->address);
  }
}

static void test_stacks_are_added(void **state)
{
  (void)state;
  struct heap *heaps[] = {heaps_make(), heaps_make(), heaps_make()};
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(sum->samples->len, 2);
  assert_int_equal(sum->locations->len, 3);
  assert_int_equal(sum->mappings->len, 2);
  assert_int_equal(heap_values(sum, 0)[0], 30);
  assert_int_equal(heap_values(sum, 1)[3], 90);
  assert_true(heap_variance(sum, 0, 0) == 12);
  assert_int_equal(heap_sample(sum, 1)->label_count, 2);
  assert_string_equal(sum->default_type, "inuse_space");
  assert_int_equal(sum->period, 512);
  heap_free(sum);
  free_all(heaps, 3);
}

static void test_files_are_one_wherever_they_lie(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("/lib/a.so", 0x7f0000000000, "f"), process("/lib/a.so", 0x7f0000000000, "f")};
  slide(heaps[1], 0x555500000000);
  struct heap *sum = combine(heaps, 2);
  assert_int_equal(sum->samples->len, 1);
  assert_int_equal(sum->mappings->len, 2);
  assert_int_equal(sum->locations->len, 2);
  assert_int_equal(heap_values(sum, 0)[1], 400);
  heap_free(sum);
  free_all(heaps, 2);
}

/* Two libraries that lie where the other does in another process: one has to move. */
static void test_what_lies_in_the_way_is_moved(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("/lib/a.so", 0x7f0000000000, "f"), process("/lib/b.so", 0x7f0000008000, "g"),
                          process("/lib/c.so", 0x7f0000000000, "h"), process("", 0x7f0000000000, NULL),
                          process("/lib/b.so", 0x7f0000000000, "g")};
  struct heap *sum = combine(heaps, 5);
  assert_addresses_differ(sum);
  assert_int_equal(sum->samples->len, 4);
  assert_int_equal(mapping_of_path(sum, "/lib/a.so")->start, 0x7f0000000000);
  assert_in_range(mapping_of_path(sum, "/lib/b.so")->start, (uint64_t)1 << 60, UINT64_MAX);
  assert_folded(sum, 1, PLACES_BY_FUNCTION, "main;<unknown> 200\nmain;f 200\nmain;g 400\nmain;h 200\n");
  heap_free(sum);
  free_all(heaps, 5);
}

/* Memory of no file has no other name than its address, and grows from one profile to the next. */
static void test_anonymous_memory_keeps_its_addresses(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("//anon", 0x7f0000000000, NULL), process("//anon", 0x7f0000000000, NULL),
                          process("//anon", 0x7f0000001000, NULL)};
  heap_mapping(heaps[1], 1)->limit += 0x1000;
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(sum->samples->len, 2);
  assert_int_equal(heap_values(sum, 0)[1], 400);
  assert_int_equal(heap_location(sum, 2)->address, 0x7f0000001100);
  assert_addresses_differ(sum);
  heap_free(sum);
  free_all(heaps, 3);
}

static void test_what_knows_more_names_both(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("/lib/a.so", 0x7f0000000000, NULL), process("/lib/a.so", 0x7f0000000000, "f"),
                          process("/lib/a.so", 0x7f0000000000, "f")};
  heap_mapping(heaps[1], 1)->has_functions = true;
  struct heap_line lines[] = {{heap_add_function(heaps[2], (struct heap_function){.name = "inlined"}), 3}, {0, 9}};
  lines[1].function = heap_add_function(heaps[2], *heap_function(heaps[2], 0));
  heap_set_lines(heaps[2], 0, lines, 2);
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(sum->samples->len, 1);
  assert_int_equal(sum->locations->len, 2);
  assert_int_equal(heap_values(sum, 0)[0], 6);
  assert_false(heap_mapping(sum, 1)->has_functions); /* not in every one of them */
  assert_folded(sum, 0, PLACES_BY_LINE, "main file.c:7;f file.c:9;inlined 6\n");
  heap_free(sum);
  free_all(heaps, 3);
}

/* A name that only tells where the function starts is none. */
static void test_names_take_the_place_of_stand_ins(void **state)
{
  (void)state;
  static const char *const names[] = {"[a.so]", "f", "a.so+0x100"};
  struct heap *heaps[3];
  for (size_t i = 0; i < 3; i++) {
    heaps[i] = process("/lib/a.so", 0x7f0000000000, NULL);
    struct heap_line line = {heap_add_function(heaps[i], (struct heap_function){.name = names[i]}), 0};
    heap_set_lines(heaps[i], 0, &line, 1);
  }
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(sum->locations->len, 2);
  assert_folded(sum, 1, PLACES_BY_FUNCTION, "main;f 600\n");
  heap_free(sum);
  free_all(heaps, 3);
}

static void test_stand_ins(void **state)
{
  (void)state;
  static const struct {
    const char *path, *name;
    bool is_one;
  } cases[] = {{"/lib/a.so", "[a.so]", true},
               {"/lib/a.so", "a.so+0x1f0", true},
               {"/lib/a.so", "", true},
               {"/lib/a.so", "a.so+0x", false},
               {"/lib/a.so", "a.so+0x1g", false},
               {"/lib/a.so", "[b.so]", false},
               {"/lib/a.so", "b.so+0x1f0", false},
               {"//anon", "[anon]", true},
               {"[vdso]", "[vdso]", true},
               {"[vdso]", "vdso", false},
               {"", "+0x10", false},
               {"", "<unknown>", true}};
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    struct heap *heap = heap_new("stand-ins");
    uint32_t mapping = heap_add_mapping(heap, (struct heap_mapping){.path = cases[i].path}),
             location = heap_add_location(heap, 0, mapping);
    assert_true(stand_in_is_all(heap, heap_location(heap, location)));
    struct heap_line line = {heap_add_function(heap, (struct heap_function){.name = cases[i].name}), 0};
    heap_set_lines(heap, location, &line, 1);
    assert_int_equal(stand_in_is_all(heap, heap_location(heap, location)), cases[i].is_one);
    line.line = 1;
    heap_set_lines(heap, location, &line, 1);
    assert_false(stand_in_is_all(heap, heap_location(heap, location)));
    heap_free(heap);
  }
}

static void test_other_names_are_other_places(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("/lib/a.so", 0x7f0000000000, "f"), process("/lib/a.so", 0x7f0000000000, "g"),
                          process("/lib/a.so", 0x7f0000000000, "f")};
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(sum->samples->len, 2);
  assert_folded(sum, 1, PLACES_BY_FUNCTION, "main;f 400\nmain;g 200\n");
  heap_free(sum);
  free_all(heaps, 3);
}

/* Runtimes without addresses: every location at 0, in no mapping or in one of no size. */
static void test_places_without_addresses(void **state)
{
  (void)state;
  struct heap *heaps[2];
  for (size_t i = 0; i < 2; i++) {
    heaps[i] = heap_new("runtime");
    heap_set_usual_types(heaps[i]);
    uint32_t fake = heap_add_mapping(heaps[i], (struct heap_mapping){.path = "runtime"});
    const uint32_t frames[] = {heaps_add_place(heaps[i], HEAP_NONE, 0, i == 0 ? "f" : "g"),
                               heaps_add_place(heaps[i], fake, 0, "main")};
    heaps_add_sample(heaps[i], frames, 2, 1, 10);
    heaps_add_sample(heaps[i], frames + 1, 1, 1, 1);
  }
  struct heap *sum = combine(heaps, 2);
  assert_null(sum->variances);
  assert_folded(sum, 1, PLACES_BY_FUNCTION, "main 2\nmain;f 10\nmain;g 10\n");
  heap_free(sum);
  free_all(heaps, 2);
}

static void test_hostile_mappings(void **state)
{
  (void)state;
  static const struct heap_mapping mappings[] = {
      {.start = 0, .limit = UINT64_MAX, .path = "/all"},     {.start = UINT64_MAX, .limit = 0, .path = "/back"},
      {.start = 1, .limit = UINT64_MAX, .path = "/all too"}, {.start = 0x1000, .limit = 0x2000, .path = "/small"},
      {.start = 0x1800, .limit = 0x2800, .path = "/lap"},    {.start = 0, .limit = UINT64_MAX, .path = "//all"}};
  struct heap *heap = heap_new("hostile");
  heap_set_usual_types(heap);
  for (size_t i = 0; i < G_N_ELEMENTS(mappings); i++) {
    uint32_t frame = heaps_add_place(heap, heap_add_mapping(heap, mappings[i]), UINT64_MAX - i, NULL);
    heaps_add_sample(heap, &frame, 1, 1, 1);
  }
  struct heap *heaps[] = {heap, heap, heap};
  struct heap *sum = combine(heaps, 3);
  assert_int_equal(heaps_total(sum, 0), 3 * heaps_total(heap, 0));
  heap_free(sum);
  heap_free(heap);
}

static void test_different_kinds_are_refused(void **state)
{
  (void)state;
  struct heap *heap = heaps_make(), *other = heaps_make(), *period = heaps_make();
  struct combiner *combiner = combiner_new();
  g_autoptr(GError) error = NULL, count = NULL, of_period = NULL;
  other->name = heap_text(other, "other.pb.gz");
  heap_type(other, 1)->name = heap_text(other, "cpu");
  heap_type(other, 1)->unit = heap_text(other, "nanoseconds");
  assert_true(combiner_add(combiner, heap, &error));
  assert_false(combiner_add(combiner, other, &error));
  assert_string_equal(error->message,
                      "other.pb.gz has values of 'cpu' in 'nanoseconds' where made has 'alloc_space' in "
                      "'bytes': they cannot be added");
  g_array_set_size(other->types, 1);
  assert_false(combiner_add(combiner, other, &count));
  assert_string_equal(count->message, "other.pb.gz has 1 values for each stack where made has 4: they cannot be added");
  period->period_type.name = heap_text(period, "time");
  assert_false(combiner_add(combiner, period, &of_period));
  assert_non_null(strstr(of_period->message, "a period of 'time'"));
  struct heap *sum = combiner_end(combiner);
  assert_int_equal(heaps_total(sum, 0), heaps_total(heap, 0));
  heap_free(sum);
  free_all((struct heap *[]){heap, other, period}, 3);
}

static void test_nothing_is_nothing(void **state)
{
  (void)state;
  assert_null(combiner_end(combiner_new()));
}

/* Comments. */

static void test_comments_are_added_or_kept(void **state)
{
  (void)state;
  struct heap *heaps[] = {heaps_make(), heaps_make()};
  for (int i = 0; i < 2; i++) {
    heap_add_comment(heaps[i], "pid", "%d", 100 + i);
    heap_add_comment(heaps[i], "samples", "%d", 10 + i);
    heap_add_comment(heaps[i], "lost.total", "%d", i);
    heap_add_comment(heaps[i], "stacks", "%d", i);
    heap_add_comment(heaps[i], "created_unix_ns", "1%d", i);
    heap_add_comment(heaps[i], "standard_error.alloc_space", "900");
    heap_add_comment(heaps[i], "merged", "3 profiles");
    g_ptr_array_add(heaps[i]->comments, (char *)(uintptr_t)heap_text(heaps[i], "a remark"));
  }
  heap_add_comment(heaps[1], "own_bytes", "18446744073709551615");
  heap_add_comment(heaps[1], "own_bytes", "1");
  struct heap *sum = combine(heaps, 2);
  static const char *const expected[] = {"# heapprof sampling_interval_bytes: 512",
                                         "# heapprof program: app",
                                         "# heapprof pid: 100",
                                         "# heapprof samples: 21",
                                         "# heapprof lost.total: 1",
                                         "a remark",
                                         "# heapprof pid: 101",
                                         "# heapprof own_bytes: 18446744073709551615",
                                         "# heapprof standard_error.alloc_objects: 4",
                                         "# heapprof standard_error.alloc_space: 4",
                                         "# heapprof standard_error.inuse_objects: 4",
                                         "# heapprof standard_error.inuse_space: 4",
                                         "# heapprof merged: 6 profiles"};
  for (guint i = 0; i < MIN(sum->comments->len, G_N_ELEMENTS(expected)); i++)
    assert_string_equal(g_ptr_array_index(sum->comments, i), expected[i]);
  assert_int_equal(sum->comments->len, G_N_ELEMENTS(expected));
  heap_free(sum);
  free_all(heaps, 2);
}

/* A profile of every allocation beside a sampled one whose variances nobody knows: the sum must not look exact. */
static void test_sums_with_unknown_certainty(void **state)
{
  (void)state;
  struct heap *heaps[] = {process("/lib/a.so", 0x1000000, "f"), process("/lib/a.so", 0x1000000, "f")};
  heap_add_comment(heaps[0], "sampling_interval_bytes", "1");
  heap_add_comment(heaps[1], "sampling_interval_bytes", "512");
  g_array_free(heaps[1]->variances, TRUE);
  heaps[1]->variances = NULL;
  struct heap *sum = combine(heaps, 2);
  assert_null(sum->variances);
  assert_string_equal(heap_comment(sum, "sampling_interval_bytes"), "512");
  heap_free(sum);
  free_all(heaps, 2);
}

/* Folded stacks. */

static void test_names_cannot_break_lines(void **state)
{
  (void)state;
  struct heap *heap = process("/lib/a.so", 0x1000000, "f;g\nh\033[31m 5");
  const uint32_t none = 0;
  heaps_add_sample(heap, &none, 0, 7, 70);
  heap_add_sample(heap, &none, 1, (const int64_t[]){0, -3, 0, 0}, NULL);
  assert_folded(heap, 1, PLACES_BY_FUNCTION, "<unknown> 70\nf:g?h?[31m 5 -3\nmain;f:g?h?[31m 5 200\n");
  assert_folded(heap, 0, PLACES_BY_FUNCTION, "<unknown> 7\nmain;f:g?h?[31m 5 2\n");
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stacks_are_added),
      cmocka_unit_test(test_files_are_one_wherever_they_lie),
      cmocka_unit_test(test_what_lies_in_the_way_is_moved),
      cmocka_unit_test(test_anonymous_memory_keeps_its_addresses),
      cmocka_unit_test(test_what_knows_more_names_both),
      cmocka_unit_test(test_names_take_the_place_of_stand_ins),
      cmocka_unit_test(test_stand_ins),
      cmocka_unit_test(test_other_names_are_other_places),
      cmocka_unit_test(test_places_without_addresses),
      cmocka_unit_test(test_hostile_mappings),
      cmocka_unit_test(test_different_kinds_are_refused),
      cmocka_unit_test(test_nothing_is_nothing),
      cmocka_unit_test(test_comments_are_added_or_kept),
      cmocka_unit_test(test_sums_with_unknown_certainty),
      cmocka_unit_test(test_names_cannot_break_lines),
  };
  return cmocka_run_group_tests_name("combine", tests, NULL, NULL);
}
