/* SPDX-License-Identifier: MIT */
#include "tools/views/call_tree.h"

#include "heap_maker.h"

/* The child of that name; fails if there is none. */
static uint32_t child(const struct call_tree *tree, uint32_t parent, const char *name)
{
  g_autoptr(GArray) children = call_tree_children(tree, parent);
  for (uint32_t i = 0; i < children->len; i++)
    if (strcmp(call_tree_name(tree, g_array_index(children, uint32_t, i)), name) == 0)
      return g_array_index(children, uint32_t, i);
  fail_msg("%s has no child %s", call_tree_name(tree, parent), name);
  return 0;
}

static char *names_of_children(const struct call_tree *tree, uint32_t parent)
{
  g_autoptr(GArray) children = call_tree_children(tree, parent);
  GString *names = g_string_new(NULL);
  for (uint32_t i = 0; i < children->len; i++)
    g_string_append_printf(names, "%s ", call_tree_name(tree, g_array_index(children, uint32_t, i)));
  return g_string_free(names, FALSE);
}

static void assert_node(const struct call_tree *tree, uint32_t number, double value, double own)
{
  assert_float_equal(call_tree_node(tree, number)->value, value, 0);
  assert_float_equal(call_tree_node(tree, number)->own, own, 0);
}

/* main: calls a, which calls c; calls b. */
static struct heap *make_program(void)
{
  struct heap *heap = make_heap(true);
  uint32_t main_ = add_place(heap, "main", 1), a = add_place(heap, "a", 2), a_too = add_place(heap, "a", 3);
  uint32_t b = add_place(heap, "b", 4), c = add_place(heap, "c", 5);
  add(heap, (const uint32_t[]){a, main_}, 2, (struct numbers){.allocated = 10, .allocated_variance = 1});
  add(heap, (const uint32_t[]){c, a_too, main_}, 3, (struct numbers){.allocated = 5, .allocated_variance = 2});
  add(heap, (const uint32_t[]){c, b, main_}, 3, (struct numbers){.allocated = 40, .allocated_variance = 4});
  add(heap, (const uint32_t[]){b}, 1, (struct numbers){.allocated = 0, .in_use = 7});
  return heap;
}

static void from_the_start(void **state)
{
  (void)state;
  struct heap *heap = make_program();
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, false);
  heap_free(heap); /* the tree has its own texts */
  assert_node(tree, 0, 55, 0);
  assert_float_equal(call_tree_node(tree, 0)->variance, 7, 0);
  assert_string_equal(call_tree_name(tree, 0), "");
  assert_string_equal(tree->unit, "bytes");
  assert_string_equal(tree->type_name, "alloc_space");
  uint32_t main_ = child(tree, 0, "main"), a = child(tree, main_, "a");
  assert_node(tree, main_, 55, 0);
  assert_node(tree, a, 15, 10); /* two lines of it are one function */
  assert_float_equal(call_tree_node(tree, a)->variance, 3, 0);
  assert_float_equal(call_tree_node(tree, a)->own_variance, 1, 0);
  assert_node(tree, child(tree, a, "c"), 5, 5);
  assert_int_equal(call_tree_node(tree, child(tree, a, "c"))->parent, a);
  g_autofree char *children = names_of_children(tree, main_), *roots = names_of_children(tree, 0);
  assert_string_equal(children, "b a ");
  assert_string_equal(roots, "main "); /* what is only in use is not here */
  call_tree_free(tree);
}

static void inverted(void **state)
{
  (void)state;
  struct heap *heap = make_program();
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, true);
  uint32_t c = child(tree, 0, "c");
  assert_node(tree, c, 45, 0);
  assert_node(tree, child(tree, 0, "a"), 10, 0);
  assert_node(tree, child(tree, c, "b"), 40, 0);
  assert_node(tree, child(tree, child(tree, c, "b"), "main"), 40, 40);
  call_tree_free(tree);
  heap_free(heap);
}

static void recursion_is_nested(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t f = add_place(heap, "f", 1);
  add(heap, (const uint32_t[]){f, f, f}, 3, (struct numbers){.allocated = 3});
  add(heap, (const uint32_t[]){f}, 1, (struct numbers){.allocated = 1});
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, false);
  uint32_t outer = child(tree, 0, "f"), middle = child(tree, outer, "f");
  assert_node(tree, outer, 4, 1);
  assert_node(tree, middle, 3, 0);
  assert_node(tree, child(tree, middle, "f"), 3, 3);
  call_tree_free(tree);
  heap_free(heap);
}

static void inlined_functions_are_nodes(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  uint32_t both = add_place(heap, "inner>outer", 1), plain = add_place(heap, "inner", 2),
           outer = add_place(heap, "outer", 3);
  add(heap, &both, 1, (struct numbers){.allocated = 3});
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, false);
  assert_true(call_tree_node(tree, child(tree, child(tree, 0, "outer"), "inner"))->is_inlined);
  assert_false(call_tree_node(tree, child(tree, 0, "outer"))->is_inlined);
  call_tree_free(tree);
  add(heap, (const uint32_t[]){plain, outer}, 2, (struct numbers){.allocated = 1}); /* and a real call */
  tree = call_tree_of(heap, ALLOC_SPACE, false);
  assert_node(tree, child(tree, child(tree, 0, "outer"), "inner"), 4, 4);
  assert_false(call_tree_node(tree, child(tree, child(tree, 0, "outer"), "inner"))->is_inlined);
  call_tree_free(tree);
  heap_free(heap);
}

static void children_are_sorted(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  static const char *const names[] = {"d", "b", "a", "c"};
  static const int64_t values[] = {1, -3, 2, 2};
  for (uint32_t i = 0; i < G_N_ELEMENTS(names); i++) {
    uint32_t place = add_place(heap, names[i], 1);
    add(heap, &place, 1, (struct numbers){.allocated = values[i]});
  }
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, false);
  g_autofree char *children = names_of_children(tree, 0);
  assert_string_equal(children, "b a c d ");
  assert_int_equal(call_tree_node(tree, 0)->child_count, 4);
  assert_false(tree->has_variances);
  call_tree_free(tree);
  heap_free(heap);
}

static void of_nothing(void **state)
{
  (void)state;
  struct heap *heap = make_heap(true);
  struct call_tree *tree = call_tree_of(heap, ALLOC_SPACE, false);
  assert_int_equal(tree->nodes->len, 1);
  g_autoptr(GArray) children = call_tree_children(tree, 0);
  assert_int_equal(children->len, 0);
  call_tree_free(tree);
  add(heap, NULL, 0, (struct numbers){.allocated = 5}); /* a stack without frames */
  tree = call_tree_of(heap, ALLOC_SPACE, false);
  assert_node(tree, 0, 5, 5);
  call_tree_free(tree);
  heap_free(heap);
}

/* Stacks of a hostile file may all be different: the tree stops growing and says so, and its total stays right. */
static void has_an_end(void **state)
{
  (void)state;
  struct heap *heap = make_heap(false);
  uint32_t f = add_place(heap, "f", 1), g = add_place(heap, "g", 1), h = add_place(heap, "h", 1);
  add(heap, (const uint32_t[]){h, g, f}, 3, (struct numbers){.allocated = 1});
  add(heap, (const uint32_t[]){f, g, h, f}, 4, (struct numbers){.allocated = 2});
  add(heap, (const uint32_t[]){g, f}, 2, (struct numbers){.allocated = 4});
  struct call_tree *tree = call_tree_of_size(heap, ALLOC_SPACE, false, 5);
  assert_true(tree->is_cut);
  assert_int_equal(tree->nodes->len, 5);
  assert_node(tree, 0, 7, 0);
  assert_node(tree, child(tree, 0, "f"), 7, 0);
  assert_node(tree, child(tree, child(tree, 0, "f"), "h"), 2, 2); /* what it called found no room */
  call_tree_free(tree);
  tree = call_tree_of_size(heap, ALLOC_SPACE, false, 7);
  assert_false(tree->is_cut);
  call_tree_free(tree);
  heap_free(heap);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(from_the_start),      cmocka_unit_test(inverted),
      cmocka_unit_test(recursion_is_nested), cmocka_unit_test(inlined_functions_are_nodes),
      cmocka_unit_test(children_are_sorted), cmocka_unit_test(of_nothing),
      cmocka_unit_test(has_an_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
