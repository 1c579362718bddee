/* SPDX-License-Identifier: MIT */
#include "tools/source/process_heap.h"

#include "core/comments.h"
#include "tools/source/generated_code.h"
#include "tools/terminal/say.h"

#include <unistd.h>

static struct heap *say_what_is_missing(struct heap *heap)
{
  const char *missing = heap != NULL ? heap_comment(heap, COMMENT_incomplete) : NULL;
  if (missing != NULL)
    say("the profile of %s is incomplete: %s", heap->name, missing);
  return heap;
}

struct heap *process_heap_of_file(const char *path, enum region_moment moment, GError **error)
{
  uid_t user = geteuid();
  struct region_file *file = region_file_open(path, user == 0 ? (uid_t)-1 : user, error);
  if (file == NULL)
    return NULL;
  struct heap *heap = region_file_read(file, moment, "read", error);
  region_file_close(file);
  return say_what_is_missing(heap);
}

struct heap *process_heap_of_target(const struct target *target, enum region_moment moment, const char *reason,
                                    GError **error)
{
  return say_what_is_missing(target_read(target, moment, reason, error));
}

static void say_once(const char *problem)
{
  static GHashTable *said;
  if (said == NULL)
    said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  if (g_hash_table_add(said, g_strdup(problem)))
    say("%s", problem);
}

static void say_all(const GPtrArray *problems)
{
  for (guint i = 0; i < problems->len; i++)
    say_once(g_ptr_array_index(problems, i));
}

bool process_heap_add_names(struct heap *heap, const struct symbols_options *options, uid_t owner, bool says_problems)
{
  g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
  struct generated_code_process process = {options->root, options->pid, owner};
  generated_code_add_names(heap, &process, problems);
  struct symbols_result result;
  struct symbols_options names = *options;
  names.owner = owner;
  symbols_add(heap, &names, &result);
  if (says_problems) {
    say_all(problems);
    say_all(result.problems);
  }
  symbols_result_clear(&result);
  return !result.is_cut;
}
