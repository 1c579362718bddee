/* SPDX-License-Identifier: MIT */
/* The live table: which sampled objects are allocated now, by address. Nodes with what is known of them
 * (live_node.h), found through an index (live_index.h), with two filters in front (live_filter.h). In exact mode, where
 * neighbours are all there, one word for each on shelves in their order (live_shelves.h).
 *
 * Only the thread that owns a pointer (by the rules of malloc and free) ever adds or removes it, so a look-up needs
 * no lock and cannot miss it.
 *
 * Threads, signals: lock-free; a handler may interrupt any step, and siglongjmp out of one, at the cost of one node.
 * Memory: about 36 bytes a live sample once there are thousands, in exact mode less (live_shelves.h). The filters have
 * 1 MiB (by page) and 256 KiB (by object); a page of them is touched for each 16 MiB, or each MiB, of heap. All of it
 * is private memory, so a forked child's copy is exact as of the fork. Failure: live_add returns false when memory is
 * refused. errno is kept.
 */
#ifndef HEAPPROF_LIVE_H
#define HEAPPROF_LIVE_H

#include "core/compiler.h"
#include "core/live/live_entry.h"
#include "core/live/live_filter.h"
#include "core/live/live_index.h"

#include <stddef.h>
#include <stdint.h>

/* From the constructor, before anything is added. */
void live_init(bool is_exact);

/* Brings what the table will need of a pointer into the cache, where that is too large to be there anyway. */
void live_prefetch_of_many(const void *pointer);

static ALWAYS_INLINE void live_prefetch(const void *pointer)
{
  if (live_index_is_large())
    live_prefetch_of_many(pointer);
}

/* Raises the filter, then shows the entry. The pointer must not be in the table. */
SAMPLED bool live_add(const void *pointer, struct live_entry entry);

/* A closer look at a pointer that live_filter_may_hold let through. False: it is not in the table; most objects on a
 * page with a sample are not.
 */
SAMPLED bool live_may_hold(const void *pointer);

/* Takes the entry out and lowers the filter; false when there is none. */
SAMPLED bool live_remove(const void *pointer, struct live_entry *entry);

/* For adopting after a fork. Between begin and end, live_remove_during_adoption takes entries out without losing
 * them: visit each entry once with live_adopt_each, then live_adopt_settle calls `freed` for every entry that was
 * visited and removed. */
bool live_remove_during_adoption(const void *pointer);
void live_adopt_each(live_visitor *visit);
void live_adopt_settle(live_visitor *freed);

/* How many entries there are; walks the index. */
uint64_t live_count(void);

#endif
