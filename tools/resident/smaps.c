/* SPDX-License-Identifier: MIT */
#include "tools/resident/smaps.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void clear_mapping(gpointer mapping)
{
  g_free(((struct smaps_mapping *)mapping)->path);
}

static uint64_t last_limit(const GArray *mappings)
{
  return mappings->len > 0 ? g_array_index(mappings, struct smaps_mapping, mappings->len - 1).limit : 0;
}

/* "5581c0000000-5581c0021000 rw-p 00000000 00:00 0     [heap]". False: it is no such line. */
static bool begin_mapping(GArray *mappings, const char *line)
{
  struct smaps_mapping mapping = {.start = 0};
  unsigned major_number, minor_number;
  uint64_t offset;
  int path_at = 0;
  if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &mapping.start, &mapping.limit,
             mapping.permissions, &offset, &major_number, &minor_number, &mapping.inode, &path_at) < 7 ||
      path_at == 0 || strlen(mapping.permissions) != 4)
    return false;
  if (mapping.start >= mapping.limit || mapping.start < last_limit(mappings))
    return false;
  mapping.path = g_strdup(line + path_at);
  g_array_append_val(mappings, mapping);
  return true;
}

/* "Rss:                 132 kB" */
static bool read_bytes(const char *line, const char *key, uint64_t *bytes)
{
  size_t length = strlen(key);
  if (strncmp(line, key, length) != 0)
    return false;
  uint64_t kilobytes = g_ascii_strtoull(line + length, NULL, 10);
  *bytes = kilobytes <= UINT64_MAX >> 10 ? kilobytes << 10 : UINT64_MAX;
  return true;
}

/* More than the mapping has no kernel tells. */
static void read_values(struct smaps_mapping *mapping, const char *line)
{
  if (!read_bytes(line, "Rss:", &mapping->resident_bytes))
    (void)read_bytes(line, "Swap:", &mapping->swapped_bytes);
  mapping->resident_bytes = MIN(mapping->resident_bytes, mapping->limit - mapping->start);
  mapping->swapped_bytes = MIN(mapping->swapped_bytes, mapping->limit - mapping->start);
}

GArray *smaps_parse(const char *text, size_t size)
{
  GArray *mappings = g_array_new(FALSE, FALSE, sizeof(struct smaps_mapping));
  g_array_set_clear_func(mappings, clear_mapping);
  bool is_inside = false; /* a mapping that was taken */
  for (const char *end = text + size, *next; text < end; text = next) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    g_autofree char *line = g_strndup(text, (size_t)((newline != NULL ? newline : end) - text));
    next = newline != NULL ? newline + 1 : end;
    if (!g_ascii_isupper(line[0]))
      is_inside = begin_mapping(mappings, line);
    else if (is_inside)
      read_values(&g_array_index(mappings, struct smaps_mapping, mappings->len - 1), line);
  }
  return mappings;
}
