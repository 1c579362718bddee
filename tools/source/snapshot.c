/* SPDX-License-Identifier: MIT */
#include "tools/source/snapshot.h"

#include "tools/heap/save.h"
#include "tools/heap/wrappers.h"
#include "tools/source/process_heap.h"

struct heap *snapshot_take(const struct target *target, const struct snapshot_options *options, GError **error)
{
  struct heap *heap = process_heap_of_target(target, options->moment, options->reason, error);
  if (heap == NULL)
    return NULL;
  bool wants_lines = options->detail == SYMBOLS_LINES;
  struct symbols_options names = {.detail = options->detail,
                                  .root = target->root,
                                  .pid = target->is_alive ? target->pid : 0,
                                  .shows_progress = true,
                                  .may_download = wants_lines};
  process_heap_add_names(heap, &names, target->owner, wants_lines);
  wrappers_strip(heap);
  return heap;
}

static char *save(const struct heap *heap, const struct target *target, const struct snapshot_options *options,
                  GError **error)
{
  if (options->path == NULL) {
    g_autofree char *valid = g_utf8_make_valid(target->summary.program, -1);
    g_autofree char *program = g_strconcat(valid, options->moment == REGION_MAPPED ? ".mmap" : "", NULL);
    g_autofree char *named = save_under_free_name(heap, ".", program, target->pid, error);
    return named != NULL ? g_path_get_basename(named) : NULL;
  }
  bool saved = options->replaces ? save_replacing(heap, options->path, error) : save_new(heap, options->path, error);
  return saved ? g_strdup(options->path) : NULL;
}

char *snapshot_write(const struct target *target, const struct snapshot_options *options, GError **error)
{
  struct heap *heap = snapshot_take(target, options, error);
  if (heap == NULL)
    return NULL;
  char *path = save(heap, target, options, error);
  heap_free(heap);
  return path;
}
