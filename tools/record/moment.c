/* SPDX-License-Identifier: MIT */
#include "tools/record/moment.h"

#include "core/comments.h"
#include "tools/record/chain.h"

#include <string.h>

#define MOMENT_ERROR g_quark_from_static_string("heapprof-moment")

static void add_comment(struct heap *heap, const char *text)
{
  g_ptr_array_add(heap->comments, (gpointer)(uintptr_t)heap_text(heap, text));
}

bool moment_fill(struct heap *stacks, const struct values *values, int64_t time_ns, GError **error)
{
  if (values->types != stacks->types->len || values_count(values) > stacks->samples->len) {
    g_set_error(error, MOMENT_ERROR, 0, "%s is damaged: a moment has values of stacks that are not there",
                stacks->name);
    return false;
  }
  for (uint32_t i = 0; i < values_count(values); i++) {
    memcpy(heap_values(stacks, i), values_numbers(values, i), values->types * sizeof(int64_t));
    for (unsigned type = 0; type < values->types; type++)
      g_array_index(stacks->variances, double, (size_t)i * values->types + type) =
          (double)values_variances(values, i)[type];
  }
  for (guint i = 0; i < values->comments->len; i++)
    add_comment(stacks, g_ptr_array_index(values->comments, i));
  stacks->time_unix_ns = time_ns;
  return true;
}

struct heap *moment_read(struct store *store, const struct texts *texts, int64_t process, int64_t *time_ns,
                         GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct heap *heap = process_row_stacks(store, process, texts, error);
  if (heap == NULL)
    return NULL;
  struct values *values = values_new(heap->types->len);
  bool is_there = chain_read(store, process, values, time_ns, &problem);
  if (!is_there && problem == NULL)
    g_set_error(&problem, MOMENT_ERROR, 0, "%s has nothing of that process so early", store->path);
  bool is_full = is_there && moment_fill(heap, values, *time_ns, &problem);
  values_free(values);
  if (is_full)
    return heap;
  g_propagate_error(error, g_steal_pointer(&problem));
  heap_free(heap);
  return NULL;
}
