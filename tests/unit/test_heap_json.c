/* SPDX-License-Identifier: MIT */
#include "tools/views/heap_json.h"

#include "heap_maker.h"

#include <jansson.h>

static json_t *json_of(const struct heap *heap, const struct heap *base)
{
  g_autoptr(GError) error = NULL;
  GString *text = heap_json(heap, base, NULL, (struct page_start){.type = INUSE_SPACE}, &error);
  assert_non_null(text);
  assert_null(error);
  assert_null(strpbrk(text->str, "<>&"));
  for (size_t i = 0; i < text->len; i++)
    assert_true((unsigned char)text->str[i] < 0x80);
  json_t *json = json_loadb(text->str, text->len, JSON_DECODE_INT_AS_REAL, NULL);
  assert_non_null(json);
  g_string_free(text, TRUE);
  return json;
}

static void assert_numbers(const json_t *json, const char *key, size_t count, const double *expected)
{
  const json_t *numbers = json_object_get(json, key);
  assert_int_equal(json_array_size(numbers), count);
  for (size_t i = 0; i < count; i++)
    assert_float_equal(json_number_value(json_array_get(numbers, i)), expected[i], 0);
}

#define ASSERT_NUMBERS(json, key, ...)                                                                                 \
  assert_numbers(json, key, sizeof((const double[]){__VA_ARGS__}) / sizeof(double), (const double[]){__VA_ARGS__})

static const json_t *type_of(const json_t *json, int type)
{
  return json_array_get(json_object_get(json, "types"), (size_t)type);
}

static const char *name_of_place(const json_t *json, size_t place)
{
  double text = json_number_value(json_array_get(json_object_get(json, "places"), 3 * place));
  return json_string_value(json_array_get(json_object_get(json, "texts"), (size_t)text));
}

/* A stack is whole, and tells how far above its end the owner is. */
static void tells_owners(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), fill = add_place(heap, "fill", 2),
           allocate = add_place(heap, "allocate", 3);
  add(heap, (const uint32_t[]){allocate, fill, main_}, 3, (struct numbers){1, 100, 1, 60, 9, 4});
  add(heap, (const uint32_t[]){fill, main_}, 2, (struct numbers){1, 10, 1, 5, 16, 1});
  add(heap, (const uint32_t[]){allocate, main_}, 2, (struct numbers){1, 7, 1, 1, 1, 0});
  json_t *json = json_of(heap, NULL);
  ASSERT_NUMBERS(json, "owners", 0, 0, 0);
  json_decref(json);
  for (uint32_t i = 0; i < heap->functions->len; i++)
    if (strcmp(heap_function(heap, i)->name, "allocate") == 0)
      heap_function(heap, i)->role = FUNCTION_PLUMBING;
  json = json_of(heap, NULL);
  ASSERT_NUMBERS(json, "nodes", 1, 0, 1, 2, 1, 4, 3, 4);
  ASSERT_NUMBERS(json, "ends", 2, 1, 1);
  ASSERT_NUMBERS(json, "owners", 0, 1, 1);
  ASSERT_NUMBERS(type_of(json, INUSE_SPACE), "value", 5, 60, 1);
  assert_string_equal(json_string_value(json_object_get(json, "by")), "owner");
  json_decref(json);
  heap_free(heap);
}

/* Stacks that begin alike share their nodes, also where they differ in lines; equal stacks are one. */
static void shares_what_is_common(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), main_too = add_place(heap, "main", 2);
  uint32_t f = add_place(heap, "f", 3), g = add_place(heap, "g", 4);
  add(heap, (const uint32_t[]){f, main_}, 2, (struct numbers){1, 100, 1, 60, 9, 4});
  add(heap, (const uint32_t[]){g, main_too}, 2, (struct numbers){1, 10, 1, 5, 16, 1});
  add(heap, (const uint32_t[]){f, main_}, 2, (struct numbers){1, 7, 0, 0, 1, 0});
  json_t *json = json_of(heap, NULL);
  ASSERT_NUMBERS(json, "nodes", 1, 0, 1, 4, 2, 6);
  ASSERT_NUMBERS(json, "more_places", 1, 2);
  ASSERT_NUMBERS(json, "ends", 2, 1);
  ASSERT_NUMBERS(type_of(json, ALLOC_SPACE), "value", 107, 10);
  ASSERT_NUMBERS(type_of(json, ALLOC_SPACE), "variance", 10, 16);
  ASSERT_NUMBERS(type_of(json, INUSE_SPACE), "value", 60, 5);
  assert_null(json_object_get(type_of(json, INUSE_SPACE), "base"));
  assert_string_equal(name_of_place(json, 0), "main");
  assert_string_equal(name_of_place(json, 2), "f");
  assert_string_equal(json_string_value(json_object_get(json, "shown")), "inuse_space");
  json_decref(json);
  heap_free(heap);
}

static void marks_inlined_functions(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t leaf = add_place(heap, "inner>outer", 5);
  add(heap, &leaf, 1, (struct numbers){.allocated = 1});
  json_t *json = json_of(heap, NULL);
  ASSERT_NUMBERS(json, "nodes", 1, 2, 1, 1); /* place 1 is outer, place 0 is inner, inlined */
  assert_string_equal(name_of_place(json, 1), "outer");
  json_decref(json);
  heap_free(heap);
}

static void compares_two(void **state)
{
  (void)state;
  struct heap *new = make_heap(true), *old = make_heap(true);
  uint32_t in_new[] = {add_place(new, "f", 1), add_place(new, "main", 2)};
  uint32_t in_old[] = {add_place(old, "other", 9), add_place(old, "main", 2), add_place(old, "f", 1)};
  add(new, in_new, 2, (struct numbers){1, 100, 1, 60, 9, 4});
  add(old, in_old, 2, (struct numbers){1, 30, 1, 20, 1, 2});
  add(old, (const uint32_t[]){in_old[2], in_old[1]}, 2, (struct numbers){1, 50, 1, 10, 5, 3});
  json_t *json = json_of(new, old);
  const json_t *type = type_of(json, INUSE_SPACE);
  ASSERT_NUMBERS(json, "ends", 2, 1);
  ASSERT_NUMBERS(type, "value", 60, 0);
  ASSERT_NUMBERS(type, "base", 10, 20);
  ASSERT_NUMBERS(type, "variance", 4, 0);
  ASSERT_NUMBERS(type, "change_variance", 7, 2);
  assert_int_equal(json_array_size(json_object_get(json, "profiles")), 2);
  json_decref(json);
  heap_free(old);
  heap_free(new);
}

static void variances_that_nobody_knows(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false), *known = make_heap(true);
  uint32_t f = add_place(heap, "f", 1), f_too = add_place(known, "f", 1);
  add(heap, &f, 1, (struct numbers){1, 2, 3, 4, 0, 0});
  add(known, &f_too, 1, (struct numbers){1, 2, 3, 4, 0, 0});
  json_t *json = json_of(heap, NULL);
  assert_null(json_object_get(type_of(json, INUSE_SPACE), "variance"));
  json_decref(json);
  json = json_of(known, heap);
  assert_non_null(json_object_get(type_of(json, INUSE_SPACE), "variance"));
  assert_null(json_object_get(type_of(json, INUSE_SPACE), "change_variance"));
  json_decref(json);
  heap_free(known);
  heap_free(heap);
}

static void only_types_that_both_have(void **state)
{
  (void)state;
  g_autoptr(GError) error = NULL;
  struct heap *heap = make_heap(true), *cpu = heap_new("cpu");
  struct heap_type type = {heap_text(cpu, "cpu"), heap_text(cpu, "nanoseconds")};
  g_array_append_val(cpu->types, type);
  assert_null(heap_json(heap, cpu, NULL, (struct page_start){.type = INUSE_SPACE}, &error));
  assert_string_equal(error->message, "test and cpu count different things");
  type = (struct heap_type){heap_text(cpu, "alloc_space"), heap_text(cpu, "bytes")};
  g_array_append_val(cpu->types, type);
  json_t *json = json_of(heap, cpu);
  assert_int_equal(json_array_size(json_object_get(json, "types")), 1);
  json_decref(json);
  heap_free(cpu);
  heap_free(heap);
}

static void names_are_escaped(void **state)
{
  (void)state;
  static const char *const names[] = {"</script>", "<!--", "a&b", "\"\\", "\xe2\x80\xa8", "\x01\x7f"};
  struct heap *heap = make_heap(true);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    uint32_t location = heap_add_location(heap, 0x2000 + i, HEAP_NONE);
    struct heap_line line = {heap_add_function(heap, (struct heap_function){.name = names[i], .file = names[i]}), 1};
    heap_set_lines(heap, location, &line, 1);
    add(heap, &location, 1, (struct numbers){.in_use = 1});
    heap_add_comment(heap, names[i], "%s", names[i]);
  }
  json_t *json = json_of(heap, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    assert_string_equal(name_of_place(json, i + 0), names[i]);
  json_decref(json);
  heap_free(heap);
}

static void numbers_that_are_none(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t f = add_place(heap, "f", 1);
  add(heap, &f, 1, (struct numbers){1, INT64_MAX, 1, INT64_MIN, G_MAXDOUBLE, -1});
  add(heap, &f, 1, (struct numbers){1, INT64_MAX, 1, INT64_MIN, G_MAXDOUBLE, -1});
  json_t *json = json_of(heap, NULL);
  ASSERT_NUMBERS(type_of(json, ALLOC_SPACE), "value", 0x1p64);
  ASSERT_NUMBERS(type_of(json, ALLOC_SPACE), "variance", 0); /* beyond what a double holds */
  json_decref(json);
  heap_free(heap);
}

static void nothing(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  json_t *json = json_of(heap, NULL);
  assert_int_equal(json_array_size(json_object_get(json, "nodes")), 0);
  assert_int_equal(json_array_size(json_object_get(json, "ends")), 0);
  json_decref(json);
  json = json_of(heap, heap);
  assert_int_equal(json_array_size(json_object_get(json, "types")), TYPES);
  json_decref(json);
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_owners),
      cmocka_unit_test(shares_what_is_common),
      cmocka_unit_test(marks_inlined_functions),
      cmocka_unit_test(compares_two),
      cmocka_unit_test(variances_that_nobody_knows),
      cmocka_unit_test(only_types_that_both_have),
      cmocka_unit_test(names_are_escaped),
      cmocka_unit_test(numbers_that_are_none),
      cmocka_unit_test(nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
