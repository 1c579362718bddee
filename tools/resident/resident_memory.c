/* SPDX-License-Identifier: MIT */
#include "tools/resident/resident_memory.h"

#include "tools/resident/page_map.h"
#include "tools/resident/thread_stacks.h"
#include "tools/state/process_maps.h"

static uint64_t resident_between(const void *of, uint64_t start, uint64_t limit)
{
  return of != NULL ? page_map_resident_bytes(of, start, limit) : 0;
}

static GArray *own_ranges(const struct region_summary *summary)
{
  GArray *ranges = g_array_new(FALSE, FALSE, sizeof(struct account_range));
  for (unsigned i = 0; i < OWN_RANGES; i++) {
    struct account_range range = {summary->own_starts[i], summary->own_limits[i], ACCOUNT_OWN, 0, 0};
    if (range.start < range.limit)
      g_array_append_val(ranges, range);
  }
  return ranges;
}

/* A thread runs on it: then it is a stack, whoever mapped it. */
static bool holds_thread(const struct region_range *range, const GArray *tops)
{
  for (guint i = 0; i < tops->len; i++) {
    uint64_t top = g_array_index(tops, uint64_t, i);
    if (top >= range->start && top < range->limit)
      return true;
  }
  return false;
}

/* What the program mapped itself. Where that cannot be read, nobody owns it. */
static void add_mapped_ranges(GArray *ranges, const struct target *target, const GArray *tops)
{
  GArray *mapped = target_ranges(target, NULL);
  for (guint i = 0; mapped != NULL && i < mapped->len; i++) {
    const struct region_range *range = &g_array_index(mapped, struct region_range, i);
    struct account_range direct = {range->start, range->limit, ACCOUNT_DIRECT, range->stack, 0};
    if (!holds_thread(range, tops))
      g_array_append_val(ranges, direct);
  }
  if (mapped != NULL)
    g_array_free(mapped, TRUE);
}

static void add_by_stack(GHashTable *by_stack, const GArray *ranges)
{
  for (guint i = 0; i < ranges->len; i++) {
    const struct account_range *range = &g_array_index(ranges, struct account_range, i);
    gpointer stack = (gpointer)(uintptr_t)range->stack;
    uint64_t before = (uintptr_t)g_hash_table_lookup(by_stack, stack);
    if (range->stack != 0 && range->resident_bytes > 0)
      g_hash_table_insert(by_stack, stack, (gpointer)(uintptr_t)(before + range->resident_bytes));
  }
}

static void share_out(struct resident_memory *memory, const struct target *target, const char *proc)
{
  g_autoptr(GArray) tops = thread_stacks_of(target->pid), ranges = own_ranges(&target->summary);
  add_mapped_ranges(ranges, target, tops);
  struct page_map *pages = page_map_open(proc);
  struct account_clues clues = {.seen = target->summary.seen,
                                .seen_count = SEEN_PLACES,
                                .allocator = target->summary.allocator,
                                .thread_tops = tops,
                                .ranges = ranges,
                                .resident = resident_between,
                                .of = pages};
  g_array_set_size(memory->parts, memory->mappings->len);
  account(memory->mappings, &clues, &memory->sums, (enum account_part *)(void *)memory->parts->data);
  add_by_stack(memory->by_stack, ranges);
  page_map_close(pages);
}

static uint64_t whole(double bytes)
{
  return bytes < 0x1p62 ? (uint64_t)(bytes + 0.5) : (uint64_t)1 << 62;
}

/* What was asked for comes first: nobody can tell from outside which of it was never written to. */
static void share_out_allocator(struct resident_memory *memory, const struct region_summary *summary)
{
  uint64_t left = memory->sums.bytes[ACCOUNT_ALLOCATOR], asked = whole(summary->in_use_bytes),
           rounding = whole(summary->rounding_bytes);
  memory->in_use_bytes = MIN(asked, left);
  left -= memory->in_use_bytes;
  memory->rounding_bytes = MIN(rounding, left);
  memory->allocator_bytes = left - memory->rounding_bytes;
  memory->absent_bytes = asked - memory->in_use_bytes + rounding - memory->rounding_bytes;
}

/* Where the first thread has ended its memory is seen through another one. NULL and *error. */
static char *find_proc(int pid, char **smaps, gsize *size, GError **error)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", pid), *path = g_strconcat(proc, "/smaps", NULL);
  if (!g_file_get_contents(path, smaps, size, error) || *size > 0)
    return *smaps != NULL ? g_steal_pointer(&proc) : NULL;
  g_autofree char *tasks = g_strconcat(proc, "/task", NULL);
  g_autoptr(GDir) folder = g_dir_open(tasks, 0, NULL);
  const char *name;
  while (*size == 0 && folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    g_autofree char *of_task = g_strconcat(tasks, "/", name, "/smaps", NULL);
    g_clear_pointer(smaps, g_free);
    if (g_file_get_contents(of_task, smaps, size, NULL) && *size > 0)
      return g_strconcat(tasks, "/", name, NULL);
  }
  return g_steal_pointer(&proc); /* it has just ended: there is nothing left to read */
}

struct resident_memory *resident_memory_of(const struct target *target, GError **error)
{
  g_autofree char *smaps = NULL;
  g_autoptr(GError) problem = NULL;
  gsize size = 0;
  g_autofree char *proc = find_proc(target->pid, &smaps, &size, &problem);
  if (proc == NULL || size == 0) {
    bool is_closed = problem != NULL && g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_ACCES);
    g_set_error(error, G_FILE_ERROR, is_closed ? G_FILE_ERROR_ACCES : G_FILE_ERROR_NOENT,
                is_closed ? "the kernel does not let us look into the memory of process %d: only root may, or who may "
                            "trace it"
                          : "process %d has ended, and its memory is gone",
                target->pid);
    return NULL;
  }
  struct resident_memory *memory = g_new0(struct resident_memory, 1);
  memory->mappings = smaps_parse(smaps, size);
  memory->parts = g_array_new(FALSE, TRUE, sizeof(enum account_part));
  memory->by_stack = g_hash_table_new(NULL, NULL);
  share_out(memory, target, proc);
  share_out_allocator(memory, &target->summary);
  memory->most_bytes = process_resident(target->pid).most_bytes;
  return memory;
}

void resident_memory_free(struct resident_memory *memory)
{
  if (memory == NULL)
    return;
  g_array_free(memory->mappings, TRUE);
  g_array_free(memory->parts, TRUE);
  g_hash_table_destroy(memory->by_stack);
  g_free(memory);
}
