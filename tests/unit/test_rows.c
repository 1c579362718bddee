/* SPDX-License-Identifier: MIT */
#include "tools/views/rows.h"

#include "tools/views/facts.h"

#include "heap_maker.h"

static const struct row *find_row(const struct rows *rows, const char *name, int64_t line)
{
  for (uint32_t i = 0; i < rows->rows->len; i++) {
    const struct row *row = &g_array_index(rows->rows, struct row, i);
    if (strcmp(row->name, name) == 0 && row->line == line)
      return row;
  }
  return NULL;
}

static void assert_row(const struct rows *rows, const char *name, int64_t line, double flat, double cum)
{
  const struct row *row = find_row(rows, name, line);
  assert_non_null(row);
  assert_float_equal(row->flat, flat, 0);
  assert_float_equal(row->cum, cum, 0);
}

static void sums_flat_and_cum(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), work = add_place(heap, "work", 2), other = add_place(heap, "other", 3);
  add(heap, (const uint32_t[]){work, main_}, 2, (struct numbers){1, 100, 1, 60, 9, 4});
  add(heap, (const uint32_t[]){other, work, main_}, 3, (struct numbers){1, 10, 1, 5, 16, 1});
  add(heap, (const uint32_t[]){main_}, 1, (struct numbers){1, 7, 0, 0, 0, 0});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  heap_free(heap); /* rows have their own texts */
  assert_int_equal(rows->rows->len, 3);
  assert_float_equal(rows->total, 117, 0);
  assert_float_equal(rows->total_variance, 25, 0);
  assert_true(rows->has_variances);
  assert_string_equal(rows->unit, "bytes");
  assert_string_equal(rows->type_name, "alloc_space");
  assert_row(rows, "main", 0, 7, 117);
  assert_row(rows, "work", 0, 100, 110);
  assert_row(rows, "other", 0, 10, 10);
  assert_float_equal(find_row(rows, "work", 0)->flat_variance, 9, 0);
  assert_float_equal(find_row(rows, "work", 0)->cum_variance, 25, 0);
  assert_string_equal(g_array_index(rows->rows, struct row, 0).name, "work");
  rows_free(rows);
}

static void recursion_counts_once(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t f = add_place(heap, "f", 1), f_too = add_place(heap, "f", 2), g = add_place(heap, "g", 3);
  add(heap, (const uint32_t[]){f, g, f_too, g, f}, 5, (struct numbers){.allocated = 10, .allocated_variance = 3});
  add(heap, (const uint32_t[]){g, f}, 2, (struct numbers){.allocated = 1});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  assert_row(rows, "f", 0, 10, 11);
  assert_row(rows, "g", 0, 1, 11);
  assert_float_equal(find_row(rows, "f", 0)->cum_variance, 3, 0);
  rows_free(rows);
  rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_LINE, ROWS_ORDER_CUM);
  assert_row(rows, "f", 1, 10, 11);
  assert_row(rows, "f", 2, 0, 10);
  assert_row(rows, "g", 3, 1, 11);
  rows_free(rows);
  heap_free(heap);
}

static void inlined_functions_have_rows(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t leaf = add_place(heap, "inner>middle>outer", 1), main_ = add_place(heap, "main", 9);
  uint32_t plain = add_place(heap, "middle", 4);
  add(heap, (const uint32_t[]){leaf, main_}, 2, (struct numbers){.allocated = 10});
  add(heap, (const uint32_t[]){plain, main_}, 2, (struct numbers){.allocated = 1});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  assert_row(rows, "inner", 0, 10, 10);
  assert_row(rows, "middle", 0, 1, 11);
  assert_row(rows, "outer", 0, 0, 10);
  const struct row *inner = find_row(rows, "inner", 0), *middle = find_row(rows, "middle", 0);
  assert_true(inner->is_inlined && !inner->is_called);
  assert_true(middle->is_inlined && middle->is_called);
  assert_true(!find_row(rows, "main", 0)->is_inlined && !find_row(rows, "main", 0)->is_called);
  rows_free(rows);
  heap_free(heap);
}

static void places_without_names(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t vdso = heap_add_mapping(heap, (struct heap_mapping){.path = "[vdso]"});
  uint32_t frames[] = {add_place(heap, "", 0), heap_add_location(heap, 1, vdso), heap_add_location(heap, 2, HEAP_NONE),
                       add_place(heap, "", 0)};
  for (uint32_t i = 0; i < G_N_ELEMENTS(frames); i++)
    add(heap, &frames[i], 1, (struct numbers){.allocated = 1 << i});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_LINE, ROWS_ORDER_FLAT);
  assert_int_equal(rows->rows->len, 3);
  assert_row(rows, "[libfoo.so.1]", 0, 9, 9);
  assert_row(rows, "[vdso]", 0, 2, 2);
  assert_row(rows, "<unknown>", 0, 4, 4);
  rows_free(rows);
  heap_free(heap);
}

static void those_without_values_of_their_own_are_sorted_by_cum(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t leaf = add_place(heap, "leaf", 1), a = add_place(heap, "a", 1), z = add_place(heap, "z", 1);
  const uint32_t small[] = {leaf, a}, large[] = {leaf, z};
  add(heap, small, 2, (struct numbers){.allocated = 5});
  add(heap, large, 2, (struct numbers){.allocated = -10});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  static const char *const expected[] = {"leaf", "z", "a"};
  assert_int_equal(rows->rows->len, 3);
  for (uint32_t i = 0; i < 3; i++)
    assert_string_equal(g_array_index(rows->rows, struct row, i).name, expected[i]);
  rows_free(rows);
  heap_free(heap);
}

static void equal_values_are_sorted_by_name(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  static const char *const names[] = {"c", "a", "d", "b"};
  for (uint32_t i = 0; i < G_N_ELEMENTS(names); i++) {
    uint32_t frame = add_place(heap, names[i], 1);
    add(heap, &frame, 1, (struct numbers){.allocated = i < 3 ? -5 : 5});
  }
  uint32_t large = add_place(heap, "z", 1), nothing = add_place(heap, "nothing", 1);
  add(heap, &large, 1, (struct numbers){.allocated = 6});
  add(heap, &nothing, 1, (struct numbers){.in_use = 1});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  GString *order = g_string_new(NULL);
  for (uint32_t i = 0; i < rows->rows->len; i++)
    g_string_append(order, g_array_index(rows->rows, struct row, i).name);
  assert_string_equal(order->str, "zabcd");
  g_string_free(order, TRUE);
  rows_free(rows);
  heap_free(heap);
}

static void without_samples(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  add(heap, NULL, 0, (struct numbers){.allocated = 3}); /* a stack without frames */
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  assert_int_equal(rows->rows->len, 0);
  assert_float_equal(rows->total, 3, 0);
  assert_false(rows->has_variances);
  rows_free(rows);
  heap_free(heap);
}

/* Differences. */

/* A profile of one stack each of `grows` and `stays`; locations are added in another order when `is_other`, as another
 * process or build would have them. */
static struct heap *make_pair(bool is_other, struct numbers grows, struct numbers stays)
{
  struct heap *heap = make_heap(true);
  uint32_t first = add_place(heap, is_other ? "stays" : "grows", 1),
           second = add_place(heap, is_other ? "grows" : "stays", 1);
  uint32_t main_ = add_place(heap, "main", 1);
  add(heap, (const uint32_t[]){is_other ? second : first, main_}, 2, grows);
  add(heap, (const uint32_t[]){is_other ? first : second, main_}, 2, stays);
  return heap;
}

static struct rows *difference(struct heap *old, struct heap *new, int type)
{
  struct rows *rows = rows_of_difference(old, type, new, type, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  heap_free(old);
  heap_free(new);
  return rows;
}

static void set_process(struct heap *heap, int pid, int64_t time_ns)
{
  heap_add_comment(heap, "pid", "%d", pid);
  heap_add_comment(heap, "created_unix_ns", "%d", 17);
  heap->time_unix_ns = time_ns;
}

static void difference_of_two_runs(void **state)
{
  (void)state;
  struct heap *old = make_pair(false, (struct numbers){.in_use = 10, .in_use_variance = 4},
                               (struct numbers){.in_use = 100, .in_use_variance = 50});
  struct heap *new = make_pair(true, (struct numbers){.in_use = 30, .in_use_variance = 5},
                               (struct numbers){.in_use = 110, .in_use_variance = 50});
  struct rows *rows = difference(old, new, INUSE_SPACE);
  assert_int_equal(rows->rows->len, 3);
  assert_row(rows, "grows", 0, 20, 20);
  assert_row(rows, "stays", 0, 10, 10);
  assert_row(rows, "main", 0, 0, 30);
  const struct row *grows = find_row(rows, "grows", 0), *stays = find_row(rows, "stays", 0);
  assert_float_equal(grows->flat_variance, 9, 0);
  assert_float_equal(grows->old_flat, 10, 0);
  assert_float_equal(grows->old_cum, 10, 0);
  assert_false(grows->is_flat_noise);
  assert_true(stays->is_flat_noise && stays->is_cum_noise); /* 10 < 1.96 * sqrt(100) */
  assert_false(find_row(rows, "main", 0)->is_flat_noise);   /* nothing is not noise */
  assert_float_equal(rows->total, 140, 0);
  assert_float_equal(rows->total_variance, 55, 0);
  assert_float_equal(rows->old_total, 110, 0);
  assert_float_equal(rows->change_variance, 109, 0);
  rows_free(rows);
}

static void what_is_in_one_profile_only(void **state)
{
  (void)state;
  struct heap *old = make_heap(true), *new = make_heap(true);
  uint32_t gone = add_place(old, "gone", 1), come = add_place(new, "come", 1), both = add_place(old, "both", 1);
  uint32_t both_new = add_place(new, "both", 1);
  add(old, &gone, 1, (struct numbers){.in_use = 10, .in_use_variance = 1});
  add(old, &both, 1, (struct numbers){.in_use = 5, .in_use_variance = 1});
  add(new, &come, 1, (struct numbers){.in_use = 20, .in_use_variance = 400});
  add(new, &both_new, 1, (struct numbers){.in_use = 5, .in_use_variance = 1});
  struct rows *rows = difference(old, new, INUSE_SPACE);
  assert_int_equal(rows->rows->len, 2);
  assert_row(rows, "gone", 0, -10, -10);
  assert_row(rows, "come", 0, 20, 20);
  assert_false(find_row(rows, "gone", 0)->is_flat_noise);
  assert_true(find_row(rows, "come", 0)->is_flat_noise);
  rows_free(rows);
}

static void without_variances_nothing_is_noise(void **state)
{
  (void)state;
  struct heap *old = make_pair(false, (struct numbers){.in_use = 10, .in_use_variance = 400}, (struct numbers){0});
  struct heap *new = make_heap(false);
  struct rows *rows = difference(old, new, INUSE_SPACE);
  assert_false(rows->has_variances);
  assert_row(rows, "grows", 0, -10, -10);
  assert_false(find_row(rows, "grows", 0)->is_flat_noise);
  rows_free(rows);
}

static void same_process(void **state)
{
  (void)state;
  struct heap *old = make_heap(true), *new = make_heap(true), *other = make_heap(true), *nameless = make_heap(true);
  set_process(old, 7, 100);
  set_process(new, 7, 200);
  set_process(other, 8, 200);
  assert_true(facts_same_process(old, new));
  assert_true(facts_same_process(old, old));
  assert_false(facts_same_process(new, old));
  assert_false(facts_same_process(old, other));
  assert_false(facts_same_process(old, nameless));
  assert_false(facts_same_process(nameless, nameless));
  heap_free(old);
  heap_free(new);
  heap_free(other);
  heap_free(nameless);
}

/* Samples of the same objects are in both profiles: only what came and went in between is uncertain. */
static void difference_within_one_process(void **state)
{
  (void)state;
  struct numbers grows_before = {10, 1000, 10, 1000, 400, 400}, grows_after = {14, 1400, 13, 1300, 500, 480};
  struct numbers stays = {10, 9000, 10, 9000, 1e6, 1e6};
  struct heap *old = make_pair(false, grows_before, stays), *new = make_pair(false, grows_after, stays);
  set_process(old, 7, 100);
  set_process(new, 7, 200);
  struct rows *allocated = rows_of_difference(old, ALLOC_SPACE, new, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  struct rows *in_use = difference(old, new, INUSE_SPACE);
  double step = 1e-3; /* of single precision */
  assert_float_equal(find_row(allocated, "grows", 0)->flat_variance, 500 - 400, step);
  assert_float_equal(find_row(in_use, "grows", 0)->flat_variance, (500 - 400) + (20 - 0), step);
  assert_float_equal(find_row(in_use, "main", 0)->cum_variance, 120,
                     step); /* `stays` is certain: nothing happened there */
  assert_float_equal(in_use->change_variance, 120, step);
  assert_false(find_row(in_use, "grows", 0)->is_flat_noise);
  rows_free(allocated);
  rows_free(in_use);
}

/* What is in use is of the peak, what was allocated is not: only allocated samples are shared. */
static void peak_of_one_process(void **state)
{
  (void)state;
  struct heap *old = make_pair(false, (struct numbers){10, 1000, 10, 1000, 400, 400}, (struct numbers){0});
  struct heap *new = make_pair(false, (struct numbers){14, 1400, 13, 1300, 500, 480}, (struct numbers){0});
  set_process(old, 7, 100);
  set_process(new, 7, 200);
  heap_add_comment(new, "moment", "peak");
  struct rows *allocated = rows_of_difference(old, ALLOC_SPACE, new, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  struct rows *in_use = difference(old, new, INUSE_SPACE);
  assert_float_equal(find_row(allocated, "grows", 0)->flat_variance, 100, 1e-3);
  assert_float_equal(find_row(in_use, "grows", 0)->flat_variance, 880, 1e-9);
  rows_free(allocated);
  rows_free(in_use);
}

/* With much churn in between, two independent profiles are the better bound. */
static void churn_within_one_process(void **state)
{
  (void)state;
  struct heap *old = make_pair(false, (struct numbers){10, 1000, 1, 100, 1e6, 30}, (struct numbers){0});
  struct heap *new = make_pair(false, (struct numbers){90, 9000, 1, 110, 9e6, 40}, (struct numbers){0});
  set_process(old, 7, 100);
  set_process(new, 7, 200);
  struct rows *rows = difference(old, new, INUSE_SPACE);
  assert_float_equal(find_row(rows, "grows", 0)->flat_variance, 70, 1e-9);
  assert_true(find_row(rows, "grows", 0)->is_flat_noise);
  rows_free(rows);
}

static void deep_stacks_end_somewhere(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t leaf = add_place(heap, "leaf", 1), f = add_place(heap, "f", 1), root = add_place(heap, "root", 1);
  GArray *frames = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  g_array_append_val(frames, leaf);
  for (uint32_t i = 0; i < STACK_PLACES_MAX; i++)
    g_array_append_val(frames, f);
  g_array_append_val(frames, root);
  add(heap, (const uint32_t *)frames->data, frames->len, (struct numbers){.allocated = 3});
  struct rows *rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT);
  assert_row(rows, "leaf", 0, 3, 3);
  assert_row(rows, "f", 0, 0, 3);
  assert_null(find_row(rows, "root", 0));
  rows_free(rows);
  g_array_free(frames, TRUE);
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_flat_and_cum),
      cmocka_unit_test(recursion_counts_once),
      cmocka_unit_test(inlined_functions_have_rows),
      cmocka_unit_test(places_without_names),
      cmocka_unit_test(those_without_values_of_their_own_are_sorted_by_cum),
      cmocka_unit_test(equal_values_are_sorted_by_name),
      cmocka_unit_test(without_samples),
      cmocka_unit_test(difference_of_two_runs),
      cmocka_unit_test(what_is_in_one_profile_only),
      cmocka_unit_test(without_variances_nothing_is_noise),
      cmocka_unit_test(same_process),
      cmocka_unit_test(difference_within_one_process),
      cmocka_unit_test(peak_of_one_process),
      cmocka_unit_test(churn_within_one_process),
      cmocka_unit_test(deep_stacks_end_somewhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
