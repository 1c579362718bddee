/* SPDX-License-Identifier: MIT */
#include "tools/source/attached.h"

#include "tools/source/process_heap.h"
#include "tools/source/source.h"

struct attached {
  int pid;
  uint64_t created_unix_ns; /* of the process that the names are of */
  struct heap *names;       /* its locations have what names were found */
  bool has_looked;          /* only once: the slow work is done, and the screen is in use */
  GHashTable *by_address;   /* uint64_t * of a location -> its number in names */
};

struct attached *attached_new(int pid)
{
  struct attached *attached = g_new0(struct attached, 1);
  attached->pid = pid;
  attached->names = heap_new("names");
  attached->by_address = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  return attached;
}

void attached_free(struct attached *attached)
{
  if (attached == NULL)
    return;
  g_hash_table_destroy(attached->by_address);
  heap_free(attached->names);
  g_free(attached);
}

/* Another program behind the same pid has other code at the same addresses. */
static void forget_names(struct attached *attached)
{
  heap_free(attached->names);
  attached->names = heap_new("names");
  g_hash_table_remove_all(attached->by_address);
}

static void copy_lines(struct heap *to, uint32_t to_location, const struct heap *from, uint32_t from_location)
{
  const struct heap_location *location = heap_location(from, from_location);
  if (location->line_count == 0)
    return;
  g_autofree struct heap_line *lines = g_new(struct heap_line, location->line_count);
  for (uint32_t i = 0; i < location->line_count; i++) {
    const struct heap_line *line = heap_lines(from, location) + i;
    lines[i].function =
        line->function == HEAP_NONE ? HEAP_NONE : heap_add_function(to, *heap_function(from, line->function));
    lines[i].line = line->line;
  }
  heap_set_lines(to, to_location, lines, location->line_count);
}

/* True if the heap has addresses that have not been looked up yet. */
static bool take_known_names(const struct attached *attached, struct heap *heap)
{
  bool has_new = false;
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    gpointer number;
    bool is_known = g_hash_table_lookup_extended(attached->by_address, &heap_location(heap, i)->address, NULL, &number);
    if (is_known)
      copy_lines(heap, i, attached->names, GPOINTER_TO_UINT(number));
    has_new |= !is_known;
  }
  return has_new;
}

/* Also of locations without names, so that they are not looked up again. */
static void remember_names(struct attached *attached, const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    uint64_t address = heap_location(heap, i)->address;
    if (g_hash_table_contains(attached->by_address, &address))
      continue;
    uint32_t number = heap_add_location(attached->names, address, HEAP_NONE);
    copy_lines(attached->names, number, heap, i);
    g_hash_table_insert(attached->by_address, g_memdup2(&address, sizeof address), GUINT_TO_POINTER(number));
  }
}

static void add_names(struct attached *attached, struct heap *heap, const struct target *target)
{
  if (!take_known_names(attached, heap))
    return;
  struct symbols_options options = {.detail = SYMBOLS_LINES,
                                    .root = target->root,
                                    .pid = target->is_alive ? target->pid : 0,
                                    .shows_progress = !attached->has_looked,
                                    .may_download = !attached->has_looked};
  attached->has_looked = true;
  process_heap_add_names(heap, &options, target->owner, false);
  remember_names(attached, heap);
}

struct heap *attached_read(struct attached *attached, bool *is_alive, GError **error)
{
  struct target *target = target_find(attached->pid, error);
  if (target == NULL)
    return NULL;
  struct heap *heap = target_read(target, REGION_NOW, "top", error);
  if (heap != NULL) {
    if (target->summary.created_unix_ns != attached->created_unix_ns)
      forget_names(attached);
    attached->created_unix_ns = target->summary.created_unix_ns;
    add_names(attached, heap, target);
    source_drop_frames(heap);
    *is_alive = target->is_alive;
  }
  target_free(target);
  return heap;
}
