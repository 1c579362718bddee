/* SPDX-License-Identifier: MIT */
#include "tools/scrape/served_heap.h"

#include "tools/heap/wrappers.h"
#include "tools/source/process_heap.h"

void served_heap_add_names(struct heap *heap, const struct target *target)
{
  struct symbols_options names = {.detail = SYMBOLS_LINES, .root = target->root, .pid = target->pid};
  process_heap_add_names(heap, &names, target->owner, false);
}

struct heap *served_heap_read(const struct target *target, enum region_moment moment, const char *reason,
                              GError **error)
{
  enum { AS_GO = 4 };
  struct heap *heap = target_read(target, moment, reason, error);
  if (heap != NULL)
    heap_keep_types(heap, AS_GO);
  return heap;
}

void served_heap_finish(struct heap *heap, const struct target *target)
{
  served_heap_add_names(heap, target);
  wrappers_strip(heap);
}
