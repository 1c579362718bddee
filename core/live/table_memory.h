/* SPDX-License-Identifier: MIT */
/* Memory for the parts of the live table: mapped in pieces that double, never given back once they are in use.
 *
 * Large pieces ask for huge pages: in a table of a hundred megabytes each look-up would otherwise miss the TLB, too.
 *
 * Threads, signals: any. Failure: NULL. errno is kept.
 */
#ifndef HEAPPROF_LIVE_TABLE_MEMORY_H
#define HEAPPROF_LIVE_TABLE_MEMORY_H

#include "core/region.h"
#include "core/sys.h"

enum { TABLE_MEMORY_HUGE_BYTES = 4 << 20 };

static inline void *table_memory_get(size_t size_bytes)
{
  void *memory = sys_map_anonymous(size_bytes);
  if (memory != NULL && size_bytes >= TABLE_MEMORY_HUGE_BYTES)
    (void)sys_madvise(memory, size_bytes, MADV_HUGEPAGE);
  return memory;
}

/* Puts a piece in its place, or gives it back where another thread was first. */
#define TABLE_MEMORY_PUT(place, memory, size_bytes)                                                                    \
  do {                                                                                                                 \
    __typeof__(memory) table_memory_none = NULL;                                                                       \
    if (atomic_compare_exchange_strong_explicit((place), &table_memory_none, (memory), memory_order_relaxed,           \
                                                memory_order_relaxed))                                                 \
      region_add_own((memory), (size_bytes));                                                                          \
    else                                                                                                               \
      sys_munmap((memory), (size_bytes));                                                                              \
  } while (false)

#endif
