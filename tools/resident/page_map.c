/* SPDX-License-Identifier: MIT */
#include "tools/resident/page_map.h"

#include <fcntl.h>
#include <glib.h>
#include <unistd.h>

struct page_map {
  int fd;
  uint64_t page_bytes;
};

struct page_map *page_map_open(const char *proc)
{
  g_autofree char *path = g_strconcat(proc, "/pagemap", NULL);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return NULL;
  struct page_map *map = g_new(struct page_map, 1);
  *map = (struct page_map){.fd = fd, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
  return map;
}

void page_map_close(struct page_map *map)
{
  if (map == NULL)
    return;
  (void)close(map->fd);
  g_free(map);
}

uint64_t page_map_resident_bytes(const struct page_map *map, uint64_t start, uint64_t limit)
{
  enum { WORDS = 4096, PRESENT_BIT = 63 };
  uint64_t words[WORDS], pages = 0, last = limit / map->page_bytes;
  for (uint64_t page = start / map->page_bytes; page < last;) {
    size_t wanted = (size_t)MIN(last - page, (uint64_t)WORDS);
    ssize_t size = pread(map->fd, words, wanted * sizeof *words, (off_t)(page * sizeof *words));
    if (size < (ssize_t)sizeof *words)
      break;
    size_t count = (size_t)size / sizeof *words;
    for (size_t i = 0; i < count; i++)
      pages += words[i] >> PRESENT_BIT;
    page += count;
  }
  return pages * map->page_bytes;
}
