/* SPDX-License-Identifier: MIT */
/* A walk as record.c makes it, for tests of what it finds.
 *
 * Threads, signals: as the walker's. Failure: trail_take may have found none, then nothing is known of the last walk.
 */
#ifndef HEAPPROF_WALKS_H
#define HEAPPROF_WALKS_H

#include "core/unwind.h"

/* On the trail that *cursor begins, to its end; *flags are set anew. How many frames are in the room. */
static inline unsigned walk_on_trail(const struct unwind_start *start, struct trail_cursor *cursor,
                                     struct walk_room *room, unsigned depth, uint32_t *flags)
{
  struct stack_window window;
  *flags = 0;
  (void)stack_window_open(&window, start->sp);
  unwind_walk(start, &window, cursor, room, depth, flags);
  trail_end(cursor);
  return unwind_record_rest(cursor, room, depth);
}

/* On the thread's trail. */
static inline unsigned walk_from(const struct unwind_start *start, struct walk_room *room, unsigned depth,
                                 uint32_t *flags)
{
  struct trail *trail = trail_take();
  struct trail_cursor cursor = trail_begin(trail);
  unsigned count = walk_on_trail(start, &cursor, room, depth, flags);
  trail_give_back(trail);
  return count;
}

#endif
