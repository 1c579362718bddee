/* SPDX-License-Identifier: MIT */
#include "tools/views/page_tree.h"

struct frame {
  uint32_t name;  /* equal for equal names */
  uint32_t place; /* as in struct page_place */
};

/* What a tree is made from. */
struct frames {
  struct page_tree *tree;
  GArray *frames;         /* struct frame, of all stacks, each outermost first */
  GArray *name_of_place;  /* uint32_t */
  GHashTable *names;      /* text of a name -> number + 1; texts are interned */
  GHashTable *known_more; /* struct page_place: those in more_places */
};

static const struct frame *frames_of(const struct frames *frames, const struct page_stack *stack)
{
  return &g_array_index(frames->frames, struct frame, stack->first_frame);
}

static void number_names(struct frames *frames)
{
  for (uint32_t i = frames->name_of_place->len; i < frames->tree->places->places->len; i++) {
    gpointer name = (gpointer)(uintptr_t)place_of(frames->tree->places, i)->name;
    uint32_t number = GPOINTER_TO_UINT(g_hash_table_lookup(frames->names, name));
    if (number == 0) {
      number = g_hash_table_size(frames->names) + 1;
      g_hash_table_insert(frames->names, name, GUINT_TO_POINTER(number));
    }
    g_array_append_val(frames->name_of_place, number);
  }
}

static bool add_stack(struct frames *frames, struct heap_places *of_heap, uint32_t sample, bool is_base)
{
  struct page_stack stack = {.sample = sample, .is_base = is_base, .first_frame = frames->frames->len};
  const struct stack_place *places = heap_places_stack(of_heap, sample, &stack.frame_count);
  stack.owner = stack_owner(places, stack.frame_count);
  if (stack.frame_count > PAGE_TREE_FRAMES_MAX - frames->frames->len)
    return false;
  for (uint32_t i = stack.frame_count; i-- > 0;) {
    struct frame frame = {.name = g_array_index(frames->name_of_place, uint32_t, places[i].place),
                          .place = places[i].place * 2 + places[i].is_inlined};
    g_array_append_val(frames->frames, frame);
  }
  g_array_append_val(frames->tree->stacks, stack);
  return true;
}

static bool add_heap(struct frames *frames, const struct heap *heap, bool is_base, GError **error)
{
  struct heap_places *of_heap = heap_places_new(frames->tree->places, heap);
  number_names(frames);
  bool fits = true;
  for (uint32_t i = 0; i < heap->samples->len && fits; i++)
    fits = add_stack(frames, of_heap, i, is_base);
  heap_places_free(of_heap);
  if (!fits)
    g_set_error(error, PAGE_TREE_ERROR, 0, "%s has more than %d frames in its stacks, too many for a page", heap->name,
                PAGE_TREE_FRAMES_MAX);
  return fits;
}

static int by_names(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct page_stack *one = a, *other = b;
  const struct frame *frames = frames_of(data, one), *other_frames = frames_of(data, other);
  uint32_t common = MIN(one->frame_count, other->frame_count);
  for (uint32_t i = 0; i < common; i++)
    if (frames[i].name != other_frames[i].name)
      return frames[i].name < other_frames[i].name ? -1 : 1;
  if (one->frame_count != other->frame_count)
    return one->frame_count < other->frame_count ? -1 : 1;
  return (one->owner > other->owner) - (one->owner < other->owner);
}

static uint32_t common_frames(const struct frames *frames, const struct page_stack *one, const struct page_stack *other)
{
  const struct frame *a = frames_of(frames, one), *b = frames_of(frames, other);
  uint32_t count = 0;
  while (count < one->frame_count && count < other->frame_count && a[count].name == b[count].name)
    count++;
  return count;
}

static guint hash_place(gconstpointer key)
{
  const struct page_place *place = key;
  return place->node * 2654435761u ^ place->place;
}

static gboolean is_same_place(gconstpointer a, gconstpointer b)
{
  const struct page_place *one = a, *other = b;
  return one->node == other->node && one->place == other->place;
}

static void add_place(struct frames *frames, uint32_t node, uint32_t place)
{
  struct page_place more = {node, place};
  if (g_array_index(frames->tree->nodes, struct page_node, node).place == place ||
      g_hash_table_contains(frames->known_more, &more))
    return;
  g_array_append_val(frames->tree->more_places, more);
  g_hash_table_add(frames->known_more, g_memdup2(&more, sizeof more));
}

/* `path` holds the nodes of the stack before this one, the root first. */
static void add_nodes(struct frames *frames, struct page_stack *stack, uint32_t common, GArray *path)
{
  const struct frame *of_stack = frames_of(frames, stack);
  for (uint32_t i = 0; i < common; i++)
    add_place(frames, g_array_index(path, uint32_t, i + 1), of_stack[i].place);
  g_array_set_size(path, common + 1);
  for (uint32_t i = common; i < stack->frame_count; i++) {
    struct page_node node = {g_array_index(path, uint32_t, i), of_stack[i].place};
    uint32_t number = frames->tree->nodes->len;
    g_array_append_val(frames->tree->nodes, node);
    g_array_append_val(path, number);
  }
  stack->node = g_array_index(path, uint32_t, stack->frame_count);
}

static void make_tree(struct frames *frames)
{
  GArray *stacks = frames->tree->stacks;
  g_autoptr(GArray) path = g_array_new(FALSE, TRUE, sizeof(uint32_t));
  g_array_set_size(path, 1);
  g_array_set_size(frames->tree->nodes, 1);
  g_array_sort_with_data(stacks, by_names, frames);
  for (uint32_t i = 0; i < stacks->len; i++) {
    struct page_stack *stack = &g_array_index(stacks, struct page_stack, i);
    add_nodes(frames, stack, i > 0 ? common_frames(frames, stack - 1, stack) : 0, path);
  }
}

struct page_tree *page_tree_new(const struct heap *heap, const struct heap *base, GError **error)
{
  struct page_tree *tree = g_new0(struct page_tree, 1);
  tree->places = places_new(PLACES_BY_LINE);
  tree->nodes = g_array_new(FALSE, TRUE, sizeof(struct page_node));
  tree->more_places = g_array_new(FALSE, FALSE, sizeof(struct page_place));
  tree->stacks = g_array_new(FALSE, TRUE, sizeof(struct page_stack));
  struct frames frames = {
      .tree = tree,
      .frames = g_array_new(FALSE, FALSE, sizeof(struct frame)),
      .name_of_place = g_array_new(FALSE, FALSE, sizeof(uint32_t)),
      .names = g_hash_table_new(g_direct_hash, g_direct_equal),
      .known_more = g_hash_table_new_full(hash_place, is_same_place, g_free, NULL),
  };
  bool fits = add_heap(&frames, heap, false, error) && (base == NULL || add_heap(&frames, base, true, error));
  if (fits)
    make_tree(&frames);
  g_array_free(frames.frames, TRUE);
  g_array_free(frames.name_of_place, TRUE);
  g_hash_table_destroy(frames.names);
  g_hash_table_destroy(frames.known_more);
  if (fits)
    return tree;
  page_tree_free(tree);
  return NULL;
}

void page_tree_free(struct page_tree *tree)
{
  if (tree == NULL)
    return;
  places_free(tree->places);
  g_array_free(tree->nodes, TRUE);
  g_array_free(tree->more_places, TRUE);
  g_array_free(tree->stacks, TRUE);
  g_free(tree);
}
