/* SPDX-License-Identifier: MIT */
#include "tools/source/merged.h"

#include "core/comments.h"
#include "tools/heap/combine.h"
#include "tools/heap/family.h"
#include "tools/heap/load.h"
#include "tools/source/recorded_moment.h"
#include "tools/terminal/say.h"

/* What the files have turned out to be. */
struct merging {
  struct combiner *combiner;
  GHashTable *processes; /* "pid created" -> its file */
  GHashTable *families;  /* those with a forked child among them; NULL in the first pass: not known yet ... */
  GHashTable *children;  /* ... and then, these */
  unsigned marked;
};

/* Two profiles of one process hold the same allocations. */
static void warn_of_double_count(GHashTable *processes, const struct heap *heap)
{
  const char *pid = heap_comment(heap, COMMENT_pid), *created = heap_comment(heap, COMMENT_created_unix_ns);
  if (pid == NULL || created == NULL || heap_comment(heap, COMMENT_merged) != NULL)
    return;
  g_autofree char *process = g_strconcat(created, " ", pid, NULL);
  const char *earlier = g_hash_table_lookup(processes, process);
  if (earlier != NULL)
    say("%s and %s are of one process, %s: what both hold is counted twice", earlier, heap->name, pid);
  g_hash_table_insert(processes, g_steal_pointer(&process), g_strdup(heap->name));
}

/* The first process of a family has its own number and time as the family's. */
static void mark(struct merging *merging, struct heap *heap)
{
  g_autofree char *family = family_of(heap);
  if (family != NULL && g_hash_table_contains(merging->families, family))
    family_mark(heap, family, ++merging->marked,
                family_has_parent(heap) && g_hash_table_contains(merging->processes, family));
}

static bool add_file(struct merging *merging, const char *path, GError **error)
{
  struct heap *heap = recorded_moment_is(path) ? recorded_moment_read(path, error) : load_file(path, error);
  if (heap == NULL)
    return false;
  if (merging->families != NULL) {
    mark(merging, heap);
  } else {
    warn_of_double_count(merging->processes, heap);
    if (family_has_parent(heap))
      g_hash_table_add(merging->children, family_of(heap));
  }
  bool is_added = combiner_add(merging->combiner, heap, error);
  heap_free(heap);
  return is_added;
}

static struct heap *combine(struct merging *merging, char *const *paths, guint count, GError **error)
{
  bool is_whole = true;
  merging->combiner = combiner_new();
  for (guint i = 0; i < count && is_whole; i++) {
    say_progress("merging", i, count);
    is_whole = add_file(merging, paths[i], error);
  }
  say_progress("merging", 1, 1);
  struct heap *heap = combiner_end(merging->combiner);
  if (is_whole)
    return heap;
  heap_free(heap);
  return NULL;
}

struct heap *merged_of_files(char *const *paths, guint count, GError **error)
{
  struct merging merging = {.processes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                            .children = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
  struct heap *heap = combine(&merging, paths, count, error);
  if (heap != NULL && g_hash_table_size(merging.children) > 0) { /* rare: so they are read again, not kept in memory */
    heap_free(heap);
    merging.families = merging.children;
    heap = combine(&merging, paths, count, error);
    if (heap != NULL)
      family_count_once(heap);
  }
  g_hash_table_destroy(merging.processes);
  g_hash_table_destroy(merging.children);
  return heap;
}
