/* SPDX-License-Identifier: MIT */
#include "tools/views/call_tree.h"

#include <math.h>
#include <string.h>

/* Of all stacks together. */
enum { PLACES_MAX = 1 << 26 };

static struct call_node *node_at(const struct call_tree *tree, uint32_t number)
{
  return &g_array_index(tree->nodes, struct call_node, number);
}

static uint32_t add_node(struct call_tree *tree, uint32_t parent, uint32_t place)
{
  struct call_node node = {
      .place = place, .parent = parent, .first_child = HEAP_NONE, .next_sibling = HEAP_NONE, .is_inlined = true};
  uint32_t number = tree->nodes->len;
  if (parent != HEAP_NONE) {
    node.next_sibling = node_at(tree, parent)->first_child;
    node_at(tree, parent)->first_child = number;
    node_at(tree, parent)->child_count++;
  }
  g_array_append_val(tree->nodes, node);
  return number;
}

/* A stack as the tree has it: from the root on. */
struct path {
  uint32_t first, count; /* in the places of all */
  double value, variance;
};

struct paths {
  GArray *places; /* struct stack_place */
  GArray *paths;  /* struct path */
};

static const struct stack_place *places_of(const struct paths *paths, const struct path *path)
{
  return &g_array_index(paths->places, struct stack_place, path->first);
}

/* False: there was no room for all of it. */
static bool append_path(struct paths *paths, const struct stack_place *stack, uint32_t count, bool is_inverted,
                        double value, double variance)
{
  struct path path = {paths->places->len, MIN(count, PLACES_MAX - paths->places->len), value, variance};
  for (uint32_t i = 0; i < path.count; i++)
    g_array_append_val(paths->places, stack[is_inverted ? i : count - 1 - i]);
  g_array_append_val(paths->paths, path);
  return path.count == count;
}

static struct paths collect_paths(struct call_tree *tree, const struct heap *heap, int type)
{
  struct paths paths = {g_array_new(FALSE, FALSE, sizeof(struct stack_place)),
                        g_array_new(FALSE, FALSE, sizeof(struct path))};
  struct heap_places *of_heap = heap_places_new(tree->places, heap);
  for (uint32_t i = 0; i < heap->samples->len; i++) {
    double value = (double)heap_values(heap, i)[type];
    uint32_t count;
    const struct stack_place *stack = heap_places_stack(of_heap, i, &count);
    uint32_t owner = stack_owner(stack, count);
    if (value != 0)
      tree->is_cut |=
          !append_path(&paths, stack + owner, count - owner, tree->is_inverted, value, heap_variance(heap, i, type));
  }
  heap_places_free(of_heap);
  return paths;
}

/* Paths that begin alike come together. */
static gint compare_paths(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct path *one = a, *other = b;
  const struct stack_place *places = places_of(data, one), *others = places_of(data, other);
  for (uint32_t i = 0; i < one->count && i < other->count; i++)
    if (places[i].place != others[i].place)
      return places[i].place < others[i].place ? -1 : 1;
  return (one->count > other->count) - (one->count < other->count);
}

/* `open` has the nodes of the path before, from the root on: those that this one shares stay, others are added. */
static void add_path(struct call_tree *tree, const struct paths *paths, const struct path *path, GArray *open,
                     uint32_t nodes_max)
{
  const struct stack_place *places = places_of(paths, path);
  uint32_t depth = 0;
  for (; depth < path->count; depth++) {
    bool is_shared =
        depth + 1 < open->len && node_at(tree, g_array_index(open, uint32_t, depth + 1))->place == places[depth].place;
    if (!is_shared && tree->nodes->len >= nodes_max)
      break;
    if (!is_shared) {
      g_array_set_size(open, depth + 1);
      uint32_t number = add_node(tree, g_array_index(open, uint32_t, depth), places[depth].place);
      g_array_append_val(open, number);
    }
    node_at(tree, g_array_index(open, uint32_t, depth + 1))->is_inlined &= places[depth].is_inlined;
  }
  tree->is_cut |= depth < path->count;
  g_array_set_size(open, depth + 1);
  for (uint32_t i = 0; i <= depth; i++) {
    struct call_node *node = node_at(tree, g_array_index(open, uint32_t, i));
    node->value += path->value;
    node->variance += path->variance;
  }
  node_at(tree, g_array_index(open, uint32_t, depth))->own += path->value;
  node_at(tree, g_array_index(open, uint32_t, depth))->own_variance += path->variance;
}

struct call_tree *call_tree_of_size(const struct heap *heap, int type, bool is_inverted, uint32_t nodes_max)
{
  struct call_tree *tree = g_new0(struct call_tree, 1);
  tree->nodes = g_array_new(FALSE, FALSE, sizeof(struct call_node));
  tree->places = places_new(PLACES_BY_FUNCTION);
  tree->is_inverted = is_inverted;
  tree->has_variances = heap->variances != NULL;
  tree->unit = g_string_chunk_insert_const(tree->places->texts, heap_type(heap, (uint32_t)type)->unit);
  tree->type_name = g_string_chunk_insert_const(tree->places->texts, heap_type(heap, (uint32_t)type)->name);
  struct paths paths = collect_paths(tree, heap, type);
  g_array_sort_with_data(paths.paths, compare_paths, &paths);
  g_autoptr(GArray) open = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  uint32_t root = add_node(tree, HEAP_NONE, HEAP_NONE);
  g_array_append_val(open, root);
  for (uint32_t i = 0; i < paths.paths->len; i++)
    add_path(tree, &paths, &g_array_index(paths.paths, struct path, i), open, nodes_max);
  g_array_free(paths.paths, TRUE);
  g_array_free(paths.places, TRUE);
  return tree;
}

struct call_tree *call_tree_of(const struct heap *heap, int type, bool is_inverted)
{
  return call_tree_of_size(heap, type, is_inverted, CALL_NODES_MAX);
}

void call_tree_free(struct call_tree *tree)
{
  if (tree == NULL)
    return;
  g_array_free(tree->nodes, TRUE);
  places_free(tree->places);
  g_free(tree);
}

const char *call_tree_name(const struct call_tree *tree, uint32_t number)
{
  uint32_t place = node_at(tree, number)->place;
  return place != HEAP_NONE ? place_of(tree->places, place)->name : "";
}

static gint compare_nodes(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct call_tree *tree = data;
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  double one_size = fabs(node_at(tree, one)->value), other_size = fabs(node_at(tree, other)->value);
  if (one_size != other_size)
    return one_size > other_size ? -1 : 1;
  return strcmp(call_tree_name(tree, one), call_tree_name(tree, other));
}

GArray *call_tree_children(const struct call_tree *tree, uint32_t number)
{
  const struct call_node *node = node_at(tree, number);
  GArray *children = g_array_sized_new(FALSE, FALSE, sizeof(uint32_t), node->child_count);
  for (uint32_t child = node->first_child; child != HEAP_NONE; child = node_at(tree, child)->next_sibling)
    g_array_append_val(children, child);
  g_array_sort_with_data(children, compare_nodes, (gpointer)tree);
  return children;
}
