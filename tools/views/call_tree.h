/* SPDX-License-Identifier: MIT */
/* The stacks of a profile as a tree: who called whom, from the program's start inwards, or inverted, from the
 * allocating function outwards. The inner end of a path is the owner (places.h): what it calls to allocate is left out.
 *
 * Memory: the tree owns its texts; the heap may go. Failure: none; is_cut says that there was no room for all of it.
 */
#ifndef HEAPPROF_CALL_TREE_H
#define HEAPPROF_CALL_TREE_H

#include "tools/heap/heap.h"
#include "tools/views/places.h"

enum { CALL_NODES_MAX = 1 << 24 }; /* of call_tree_of: about 1.5 GB */

/* A path. Children and siblings are in no order: call_tree_children sorts. HEAP_NONE: there is none. */
struct call_node {
  uint32_t place; /* in places; HEAP_NONE for the root */
  uint32_t parent, first_child, next_sibling;
  uint32_t child_count;
  bool is_inlined;          /* in every stack: into its caller */
  double value, variance;   /* of stacks that begin with this path */
  double own, own_variance; /* of those that are this path and no longer */
};

struct call_tree {
  GArray *nodes; /* struct call_node; 0 is the root, all stacks */
  struct places *places;
  bool is_inverted, has_variances;
  bool is_cut; /* there was no room for all of it: some paths end early */
  const char *unit, *type_name;
};

struct call_tree *call_tree_of(const struct heap *heap, int type, bool is_inverted);
struct call_tree *call_tree_of_size(const struct heap *heap, int type, bool is_inverted, uint32_t nodes_max);
void call_tree_free(struct call_tree *tree);

static inline const struct call_node *call_tree_node(const struct call_tree *tree, uint32_t number)
{
  return &g_array_index(tree->nodes, struct call_node, number);
}

/* "" for the root. */
const char *call_tree_name(const struct call_tree *tree, uint32_t number);

/* Numbers of nodes, uint32_t, largest absolute value first, then by name. The caller frees it. */
GArray *call_tree_children(const struct call_tree *tree, uint32_t number);

#endif
