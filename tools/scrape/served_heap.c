/* SPDX-License-Identifier: MIT */
#include "tools/scrape/served_heap.h"

#include "tools/heap/wrappers.h"
#include "tools/source/process_heap.h"

static bool add_names(struct heap *heap, const struct target *target, int64_t until_us)
{
  struct symbols_options names = {
      .detail = SYMBOLS_LINES, .root = target->root, .pid = target->is_alive ? target->pid : 0, .until_us = until_us};
  return process_heap_add_names(heap, &names, target->owner, false);
}

void served_heap_add_names(struct heap *heap, const struct target *target)
{
  (void)add_names(heap, target, 0);
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

bool served_heap_finish_by(struct heap *heap, const struct target *target, int64_t until_us)
{
  bool is_whole = add_names(heap, target, until_us);
  wrappers_strip(heap);
  return is_whole;
}

void served_heap_finish(struct heap *heap, const struct target *target)
{
  (void)served_heap_finish_by(heap, target, 0);
}
