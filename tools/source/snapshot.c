/* SPDX-License-Identifier: MIT */
#include "tools/source/snapshot.h"

#include "core/comments.h"
#include "tools/heap/save.h"
#include "tools/heap/wrappers.h"
#include "tools/terminal/say.h"

static void add_symbols(struct heap *heap, const struct target *target, enum symbols_detail detail)
{
  struct symbols_options options = {.detail = detail,
                                    .root = target->root,
                                    .pid = target->is_alive ? target->pid : 0,
                                    .shows_progress = true,
                                    .may_download = detail == SYMBOLS_LINES};
  struct symbols_result result;
  symbols_add(heap, &options, &result);
  for (guint i = 0; detail == SYMBOLS_LINES && i < result.problems->len; i++)
    say("%s", (const char *)g_ptr_array_index(result.problems, i));
  symbols_result_clear(&result);
}

struct heap *snapshot_take(const struct target *target, const struct snapshot_options *options, GError **error)
{
  struct heap *heap = target_read(target, options->moment, options->reason, error);
  if (heap == NULL)
    return NULL;
  const char *missing = heap_comment(heap, COMMENT_incomplete);
  if (missing != NULL)
    say("the profile of process %d is incomplete: %s", target->pid, missing);
  add_symbols(heap, target, options->detail);
  wrappers_strip(heap);
  return heap;
}

static char *save(const struct heap *heap, const struct target *target, const struct snapshot_options *options,
                  GError **error)
{
  if (options->path == NULL) {
    g_autofree char *program = g_utf8_make_valid(target->summary.program, -1);
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
