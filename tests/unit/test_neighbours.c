/* SPDX-License-Identifier: MIT */
#include "tools/views/neighbours.h"

#include "heap_maker.h"

struct seen {
  struct heap *heap;
  struct rows *rows;
  struct neighbours *neighbours;
};

/* Looks at functions whose names begin with '*'. */
static struct seen look(struct heap *heap)
{
  struct seen seen = {.heap = heap, .rows = rows_of(heap, ALLOC_SPACE, ROWS_BY_FUNCTION, ROWS_ORDER_FLAT)};
  g_autofree bool *is_wanted = g_new0(bool, seen.rows->places->places->len);
  for (uint32_t i = 0; i < seen.rows->places->places->len; i++)
    is_wanted[i] = place_of(seen.rows->places, i)->name[0] == '*';
  seen.neighbours = neighbours_of(heap, ALLOC_SPACE, seen.rows, is_wanted);
  return seen;
}

static void forget(struct seen *seen)
{
  neighbours_free(seen->neighbours);
  rows_free(seen->rows);
  heap_free(seen->heap);
}

static uint32_t place_named(const struct seen *seen, const char *name)
{
  for (uint32_t i = 0; i < seen->rows->places->places->len; i++)
    if (strcmp(place_of(seen->rows->places, i)->name, name) == 0)
      return i;
  fail_msg("no place %s", name);
  return 0;
}

/* "name=value ..." */
static char *list(const struct seen *seen, const struct neighbour *edges, uint32_t count, bool are_callers)
{
  GString *text = g_string_new(NULL);
  for (uint32_t i = 0; i < count; i++)
    g_string_append_printf(text, "%s=%g%s ",
                           place_of(seen->rows->places, are_callers ? edges[i].caller : edges[i].callee)->name,
                           edges[i].value, edges[i].is_inlined ? "i" : "");
  return g_string_free(text, FALSE);
}

static void assert_neighbours(const struct seen *seen, const char *name, const char *callers, const char *callees)
{
  uint32_t place = place_named(seen, name), count;
  const struct neighbour *edges = neighbours_callers(seen->neighbours, place, &count);
  g_autofree char *found_callers = list(seen, edges, count, true);
  assert_string_equal(found_callers, callers);
  edges = neighbours_callees(seen->neighbours, place, &count);
  g_autofree char *found_callees = list(seen, edges, count, false);
  assert_string_equal(found_callees, callees);
}

static void callers_and_callees(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), f = add_place(heap, "*f", 1), g = add_place(heap, "*g", 1);
  uint32_t other = add_place(heap, "other", 1), in = add_place(heap, "in>*f", 1);
  add(heap, (const uint32_t[]){g, f, main_}, 3, (struct numbers){.allocated = 8, .allocated_variance = 2});
  add(heap, (const uint32_t[]){f, other, main_}, 3, (struct numbers){.allocated = 4, .allocated_variance = 1});
  add(heap, (const uint32_t[]){in, main_}, 2, (struct numbers){.allocated = 2, .allocated_variance = 1});
  add(heap, (const uint32_t[]){other, main_}, 2, (struct numbers){.allocated = 100});
  struct seen seen = look(heap);
  assert_neighbours(&seen, "*f", "main=10 other=4 ", "*g=8 in=2i ");
  assert_neighbours(&seen, "*g", "*f=8 ", "");
  uint32_t count;
  const struct neighbour *edges = neighbours_callers(seen.neighbours, place_named(&seen, "*f"), &count);
  assert_float_equal(edges[0].variance, 3, 0);
  forget(&seen);
}

static void recursion(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), f = add_place(heap, "*f", 1), g = add_place(heap, "g", 1);
  add(heap, (const uint32_t[]){f, f, main_}, 3, (struct numbers){.allocated = 1});
  add(heap, (const uint32_t[]){f, g, f, g, f, main_}, 6, (struct numbers){.allocated = 2, .allocated_variance = 5});
  struct seen seen = look(heap);
  assert_neighbours(&seen, "*f", "main=3 g=2 ", "g=2 ");
  forget(&seen);
}

static void inlined_only_if_always(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t both = add_place(heap, "*in>f", 1), in = add_place(heap, "*in", 1), f = add_place(heap, "f", 1);
  add(heap, &both, 1, (struct numbers){.allocated = 1});
  struct seen seen = look(heap);
  assert_neighbours(&seen, "*in", "f=1i ", "");
  neighbours_free(seen.neighbours);
  rows_free(seen.rows);
  add(heap, (const uint32_t[]){in, f}, 2, (struct numbers){.allocated = 1});
  seen = look(heap);
  assert_neighbours(&seen, "*in", "f=2 ", "");
  forget(&seen);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(callers_and_callees),
      cmocka_unit_test(recursion),
      cmocka_unit_test(inlined_only_if_always),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
