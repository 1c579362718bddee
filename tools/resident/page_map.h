/* SPDX-License-Identifier: MIT */
/* Which pages of a process are resident, one by one, for mappings that are several things at once
 * (/proc/PID/pagemap). */
#ifndef HEAPPROF_PAGE_MAP_H
#define HEAPPROF_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct page_map;

/* Of "/proc/PID"; NULL: it cannot be read. */
struct page_map *page_map_open(const char *proc);
void page_map_close(struct page_map *map);

/* Resident bytes between two addresses, whole pages; pages of zeros that nobody wrote to may be counted. */
uint64_t page_map_resident_bytes(const struct page_map *map, uint64_t start, uint64_t limit);

#endif
