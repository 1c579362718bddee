/* SPDX-License-Identifier: MIT */
/* The stacks of one heap, or of two, as one tree of functions, which is how the report page gets them: stacks that
 * begin alike are stored once, and each tells its owner (places.h). Functions are told apart by name, as the rows of
 * `heapprof top` are.
 *
 * Threads: one at a time. Memory: owned by the tree, limited to PAGE_TREE_FRAMES_MAX frames of both heaps together.
 */
#ifndef HEAPPROF_PAGE_TREE_H
#define HEAPPROF_PAGE_TREE_H

#include "tools/views/places.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { PAGE_TREE_FRAMES_MAX = 1 << 25 };

#define PAGE_TREE_ERROR g_quark_from_static_string("heapprof-page-tree")

/* A line of a function, and whether it was inlined into its caller there. */
struct page_place {
  uint32_t node;
  uint32_t place; /* of tree->places, times 2, plus 1 if inlined */
};

struct page_node {
  uint32_t parent; /* comes before its children */
  uint32_t place;  /* as above: the first that was met */
};

/* One sample. Samples of the same node and owner follow each other. */
struct page_stack {
  uint32_t node;
  uint32_t owner; /* how many nodes above it: 0 is the node itself */
  uint32_t sample;
  bool is_base;
  uint32_t first_frame, frame_count; /* while the tree is made */
};

struct page_tree {
  struct places *places; /* by line */
  GArray *nodes;         /* struct page_node; the first is the root, which is its own parent and has no place */
  GArray *more_places;   /* struct page_place: of nodes that have more than one */
  GArray *stacks;        /* struct page_stack */
};

/* `base` may be NULL. NULL and *error: there are too many frames. */
struct page_tree *page_tree_new(const struct heap *heap, const struct heap *base, GError **error);
/* Do they have one number on the page? */
static inline bool page_stacks_are_one(const struct page_stack *one, const struct page_stack *other)
{
  return one->node == other->node && one->owner == other->owner;
}

void page_tree_free(struct page_tree *tree);

#endif
