/* SPDX-License-Identifier: MIT */
#include "tools/heap/layout.h"

#include <string.h>

/* Where mappings go that have to move: 4 GiB each, as far as nothing lies. */
#define FREE_START ((uint64_t)1 << 60)
#define FREE_LIMIT ((uint64_t)1 << 63)
#define FREE_STEP LAYOUT_FILE_BYTES_MAX

struct interval {
  uint64_t start, limit;
};

struct layout {
  GTree *files, *anonymous; /* struct interval, disjoint: taken by mappings */
  uint64_t next_free;
};

/* Equal: they overlap. */
static gint compare_intervals(gconstpointer a, gconstpointer b, gpointer unused)
{
  const struct interval *one = a, *other = b;
  (void)unused;
  return one->limit <= other->start ? -1 : one->start >= other->limit;
}

struct layout *layout_new(void)
{
  struct layout *layout = g_new0(struct layout, 1);
  layout->files = g_tree_new_full(compare_intervals, NULL, g_free, NULL);
  layout->anonymous = g_tree_new_full(compare_intervals, NULL, g_free, NULL);
  layout->next_free = FREE_START;
  return layout;
}

void layout_free(struct layout *layout)
{
  g_tree_destroy(layout->files);
  g_tree_destroy(layout->anonymous);
  g_free(layout);
}

bool layout_is_anonymous(const struct heap_mapping *mapping)
{
  const char *path = mapping->path;
  return mapping->build_id[0] == '\0' &&
         (path[0] == '\0' || g_str_has_prefix(path, "//") || strcmp(path, LAYOUT_GENERATED) == 0);
}

static const struct interval *find_file(const struct layout *layout, const struct interval *wanted)
{
  return g_tree_lookup(layout->files, wanted);
}

static const struct interval *find_any(const struct layout *layout, const struct interval *wanted)
{
  const struct interval *taken = find_file(layout, wanted);
  return taken != NULL ? taken : g_tree_lookup(layout->anonymous, wanted);
}

static void take(GTree *tree, struct interval interval)
{
  const struct interval *overlapping;
  while ((overlapping = g_tree_lookup(tree, &interval)) != NULL) {
    struct interval old = *overlapping;
    interval.start = MIN(interval.start, old.start);
    interval.limit = MAX(interval.limit, old.limit);
    g_tree_remove(tree, &old);
  }
  struct interval *key = g_memdup2(&interval, sizeof interval);
  g_tree_insert(tree, key, key);
}

static uint64_t next_step(uint64_t address)
{
  return address > FREE_LIMIT ? UINT64_MAX : (address + FREE_STEP - 1) & ~(FREE_STEP - 1);
}

/* False: there is no free place for something that large. */
static bool move_away(struct layout *layout, struct heap_mapping *mapping)
{
  uint64_t size = mapping->limit - mapping->start;
  for (;;) {
    struct interval wanted = {layout->next_free, layout->next_free + size};
    if (size > FREE_START || wanted.start > FREE_LIMIT)
      return false;
    const struct interval *taken = find_any(layout, &wanted);
    if (taken == NULL)
      break;
    layout->next_free = next_step(taken->limit);
  }
  mapping->start = layout->next_free;
  mapping->limit = mapping->start + size;
  layout->next_free = next_step(mapping->limit);
  return true;
}

void layout_place(struct layout *layout, struct heap_mapping *mapping)
{
  struct interval interval = {mapping->start, mapping->limit};
  bool is_anonymous = layout_is_anonymous(mapping);
  if (interval.start >= interval.limit)
    return;
  const struct interval *in_the_way = is_anonymous ? find_file(layout, &interval) : find_any(layout, &interval);
  if (in_the_way != NULL && !move_away(layout, mapping))
    return;
  take(is_anonymous ? layout->anonymous : layout->files, (struct interval){mapping->start, mapping->limit});
}
