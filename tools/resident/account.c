/* SPDX-License-Identifier: MIT */
#include "tools/resident/account.h"

#include <string.h>

static const struct smaps_mapping *mapping_at(const GArray *mappings, guint index)
{
  return &g_array_index(mappings, struct smaps_mapping, index);
}

static bool is_shared_memory(const struct smaps_mapping *mapping)
{
  static const char *const starts[] = {"/dev/shm/", "/memfd:", "/SYSV", "/dev/zero", "[anon_shmem"};
  for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
    if (g_str_has_prefix(mapping->path, starts[i]))
      return true;
  return false;
}

/* Its library, and the state file, both also when they were removed. */
static bool is_own_file(const struct smaps_mapping *mapping)
{
  g_autofree char *name = g_path_get_basename(mapping->path);
  return g_str_has_prefix(name, "libheapprof.so") ||
         (mapping->permissions[3] == 's' &&
          (g_str_has_suffix(name, ".heapprof") || g_str_has_suffix(name, ".heapprof (deleted)")));
}

static bool is_named_file(const struct smaps_mapping *mapping)
{
  return mapping->path[0] == '/' || mapping->inode != 0;
}

static bool is_anonymous(const struct smaps_mapping *mapping)
{
  return !is_named_file(mapping) && (mapping->path[0] == '\0' || g_str_has_prefix(mapping->path, "[anon:"));
}

static enum account_part part_of_named(const struct smaps_mapping *mapping)
{
  if (is_shared_memory(mapping))
    return is_own_file(mapping) ? ACCOUNT_OWN : ACCOUNT_SHARED;
  if (is_named_file(mapping))
    return is_own_file(mapping) ? ACCOUNT_OWN : ACCOUNT_FILES;
  if (strcmp(mapping->path, "[heap]") == 0)
    return ACCOUNT_ALLOCATOR;
  return g_str_has_prefix(mapping->path, "[stack") ? ACCOUNT_STACKS : ACCOUNT_FILES; /* [vdso] and its like */
}

static bool is_glibc(const struct account_clues *clues)
{
  g_autofree char *name = g_path_get_basename(clues->allocator);
  return g_str_has_prefix(name, "libc.so") || g_str_has_prefix(name, "libc-");
}

static bool holds_seen(const struct smaps_mapping *mapping, const struct account_clues *clues)
{
  for (size_t i = 0; i < clues->seen_count; i++)
    if (clues->seen[i] >= mapping->start && clues->seen[i] < mapping->limit)
      return true;
  return false;
}

/* Arenas of glibc: 64 MiB that begin at a multiple of that; what was not used yet is out of reach. */
static bool is_arena(const GArray *mappings, guint index)
{
  enum { ARENA_BYTES = 64 << 20 };
  const struct smaps_mapping *mapping = mapping_at(mappings, index);
  if (mapping->start % ARENA_BYTES != 0 || mapping->limit - mapping->start > ARENA_BYTES)
    return false;
  if (mapping->limit - mapping->start == ARENA_BYTES)
    return true;
  if (index + 1 == mappings->len)
    return false;
  const struct smaps_mapping *rest = mapping_at(mappings, index + 1);
  return is_anonymous(rest) && strcmp(rest->permissions, "---p") == 0 && rest->start == mapping->limit &&
         rest->limit % ARENA_BYTES == 0;
}

/* Variables of a program or library that begin as zero: the anonymous mapping behind its file's. */
static bool is_bss(const GArray *mappings, guint index)
{
  const struct smaps_mapping *mapping = mapping_at(mappings, index),
                             *before = index > 0 ? mapping_at(mappings, index - 1) : NULL;
  return before != NULL && before->limit == mapping->start && is_named_file(before) && before->permissions[3] == 'p' &&
         before->permissions[1] == 'w' && mapping->permissions[1] == 'w';
}

/* Those of an allocator that is a library of its own are part of its book-keeping. It may be loaded by a shorter name
 * than its file has: libjemalloc.so for libjemalloc.so.2. */
static enum account_part part_of_bss(const struct smaps_mapping *before, const struct account_clues *clues)
{
  g_autofree char *name = g_path_get_basename(before->path), *allocator = g_path_get_basename(clues->allocator);
  bool is_allocators = allocator[0] != '.' && !is_glibc(clues) && g_str_has_prefix(name, allocator);
  return is_allocators ? ACCOUNT_ALLOCATOR : part_of_named(before);
}

static enum account_part part_of(const GArray *mappings, guint index, const struct account_clues *clues)
{
  const struct smaps_mapping *mapping = mapping_at(mappings, index);
  if (!is_anonymous(mapping))
    return part_of_named(mapping);
  if (holds_seen(mapping, clues) || (is_arena(mappings, index) && is_glibc(clues)))
    return ACCOUNT_ALLOCATOR;
  return is_bss(mappings, index) ? part_of_bss(mapping_at(mappings, index - 1), clues) : ACCOUNT_DIRECT;
}

/* Takes what of the range is in the mapping out of `left`. */
static void take_range(const struct smaps_mapping *mapping, struct account_range *range,
                       const struct account_clues *clues, struct account_sums *sums, uint64_t *left)
{
  uint64_t start = MAX(mapping->start, range->start), limit = MIN(mapping->limit, range->limit);
  if (start >= limit || *left == 0)
    return;
  bool is_all = start == mapping->start && limit == mapping->limit;
  uint64_t bytes = is_all ? *left : MIN(clues->resident(clues->of, start, limit), *left);
  sums->bytes[range->part] += bytes;
  range->resident_bytes += bytes;
  *left -= bytes;
}

static bool has_guard(const GArray *mappings, guint index)
{
  const struct smaps_mapping *before = index > 0 ? mapping_at(mappings, index - 1) : NULL;
  return before != NULL && before->limit == mapping_at(mappings, index)->start &&
         strcmp(before->permissions, "---p") == 0;
}

/* A thread's stack begins with the mapping, behind a page that guards it, and ends with the page that has its
 * descriptor. One that the program made itself, of memory from its allocator, is the allocator's. */
static void take_stack(const GArray *mappings, guint index, enum account_part part, const struct account_clues *clues,
                       struct account_sums *sums, uint64_t *left)
{
  enum { PAGE_BYTES = 4096 };
  const struct smaps_mapping *mapping = mapping_at(mappings, index);
  uint64_t highest = 0;
  for (guint i = 0; i < clues->thread_tops->len; i++) {
    uint64_t top = g_array_index(clues->thread_tops, uint64_t, i);
    if (top >= mapping->start && top < mapping->limit)
      highest = MAX(highest, (top | (PAGE_BYTES - 1)) + 1);
  }
  if (highest > 0 && (part != ACCOUNT_ALLOCATOR || has_guard(mappings, index)))
    take_range(mapping, &(struct account_range){mapping->start, highest, ACCOUNT_STACKS, 0, 0}, clues, sums, left);
}

void account(const GArray *mappings, const struct account_clues *clues, struct account_sums *sums,
             enum account_part *parts)
{
  *sums = (struct account_sums){.total_bytes = 0};
  for (guint i = 0; i < mappings->len; i++) {
    const struct smaps_mapping *mapping = mapping_at(mappings, i);
    enum account_part part = part_of(mappings, i, clues);
    uint64_t left = mapping->resident_bytes;
    sums->total_bytes += left;
    sums->swapped_bytes += mapping->swapped_bytes;
    for (guint j = 0; is_anonymous(mapping) && j < clues->ranges->len; j++)
      take_range(mapping, &g_array_index(clues->ranges, struct account_range, j), clues, sums, &left);
    if (is_anonymous(mapping))
      take_stack(mappings, i, part, clues, sums, &left);
    sums->bytes[part] += left;
    if (parts != NULL)
      parts[i] = part;
  }
}
