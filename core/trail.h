/* SPDX-License-Identifier: MIT */
/* The last-walk cache: the frames of a thread's last walk, so that the next walk need not work them out again.
 *
 * Two samples of a thread have most of their outer frames in common, and with an interval of 1 often all. Where a walk
 * comes to a pc and sp that the last one had, and finds the same return address still there, it gets to the same pc and
 * sp: a word compared, instead of a rule looked up and applied. bp has to be the same only where a later rule counts
 * from it; elsewhere it is data of the program. What both walks have in common up to the outermost frame stays where it
 * is, with its part of the hash.
 *
 * Nothing is taken on trust: each word is read anew, within the window of the walk that reads it.
 *
 * Threads: a trail has one user at a time, and nobody waits for one. Threads share trails by number; another thread's
 * walk is of no use, and does no harm. Signals: a handler finds its thread's trail in use and does without, or, on an
 * alternate stack within the thread's own, takes it over (lock.h): then frames may get mixed, which costs samples their
 * right stack, but no index leaves the arrays. One that is left by siglongjmp is whole or empty. Memory: TRAILS times
 * 24 KiB of .bss, touched as far as stacks are deep. Fork: copied on write.
 *
 * What a walk records is written beside its trail, off the application's stack. Walks without a trail take scratch
 * memory for that: there is more as soon as all is taken, 9 KiB for each walk under way. A handler on an alternate
 * stack above the one it interrupted may take over its scratch, too.
 */
#ifndef HEAPPROF_TRAIL_H
#define HEAPPROF_TRAIL_H

#include "core/compiler.h"
#include "core/config.h"
#include "core/lock.h"
#include "core/rules.h"
#include "core/stack_bounds.h"
#include "core/stacks.h"
#include "core/steps.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the words that a step reads lie, in words above the frame's sp. */
struct trail_step {
  uint32_t return_at;  /* or TRAIL_UNUSUAL, TRAIL_OUTERMOST */
  uint32_t bp_at;      /* or TRAIL_BP_KEPT */
  bool counts_from_bp; /* its rule does */
  bool is_hidden;      /* nothing is recorded of the frame */
};

#define TRAIL_UNUSUAL UINT32_MAX         /* worked out anew each time */
#define TRAIL_OUTERMOST (UINT32_MAX - 1) /* by its rule, the frame has no caller */
#define TRAIL_BP_KEPT UINT32_MAX

struct trail_frame {
  struct frame frame;
  struct trail_step step;
};

/* What a walk under way writes, off the application's stack. No pointers: a handler that takes the room over would
 * leave its own. */
struct walk_room {
  struct frame frame;      /* where it is ... */
  unsigned steps;          /* ... after so many steps, with ... */
  unsigned count;          /* ... so many recorded */
  uintptr_t stepping_from; /* the pc that an unusual step is made from */
  struct careful careful;
  uintptr_t pcs[CONFIG_DEPTH_MAX]; /* innermost first */
};

enum {
  TRAILS = 32,
  TRAIL_FRAMES_MAX = 140, /* the usual depth, and our own frames; deeper walks leave no trail */
};

/* In this order, walks of up to 30 frames touch four pages. */
struct trail {
  LARGE struct lock lock;
  unsigned count;
  uint64_t stack;      /* of the last walk, in this process (process.h); 0: not known */
  uint64_t generation; /* of the rules */
  /* Of the last walk, the outermost frame first. */
  bool needs_bp[TRAIL_FRAMES_MAX];   /* the frames from here on outwards were found by its bp */
  uint64_t hashes[TRAIL_FRAMES_MAX]; /* stacks_hash_add() of what is recorded, up to this frame */
  struct trail_frame frames[TRAIL_FRAMES_MAX];
  struct trail_frame fresh[TRAIL_FRAMES_MAX]; /* of the walk under way, the innermost first */
  struct walk_room room;
};

/* On the trail, during a walk. */
struct trail_cursor {
  struct trail *trail; /* NULL: nothing is known, nothing will be */
  int known;           /* the next frame of the last walk that this walk may come to; below 0: none */
  unsigned fresh_count;
  unsigned kept_count; /* frames that this walk and the last one end with */
  bool is_again;       /* this walk is the last one */
};

/* For the calling thread; NULL: in use. */
SAMPLED struct trail *trail_take(void);
SAMPLED void trail_give_back(struct trail *trail);

struct scratch {
  struct lock lock;
  struct walk_room room;
};

/* NULL: no memory. */
struct scratch *scratch_take(void);
void scratch_give_back(struct scratch *scratch);

/* From the innermost frame of a walk ... */
SAMPLED struct trail_cursor trail_begin(struct trail *trail);

/* ... by trail_note for each step that was not on the trail, and this for those from frames[first] outwards to
 * frames[last], which were, before the walk took another way ... */
SAMPLED void trail_note_again(struct trail_cursor *cursor, int first, int last, uintptr_t bp);

/* ... to the outermost: puts the fresh frames upon those that are kept. */
SAMPLED void trail_end(struct trail_cursor *cursor);

/* After trail_end. The hash of all that is recorded; 0: not known. The stack that was set after the last walk, if this
 * one is the same; else 0. */
SAMPLED uint64_t trail_hash(const struct trail_cursor *cursor);
SAMPLED uint32_t trail_stack(const struct trail_cursor *cursor);
SAMPLED void trail_set_stack(struct trail *trail, uint32_t stack);

static ALWAYS_INLINE void trail_note(struct trail_cursor *cursor, const struct frame *frame, struct trail_step step)
{
  if (cursor->trail != NULL && LIKELY(cursor->fresh_count < TRAIL_FRAMES_MAX))
    cursor->trail->fresh[cursor->fresh_count++] = (struct trail_frame){*frame, step};
}

/* The frame that was noted last has no caller, it turned out. */
static ALWAYS_INLINE void trail_note_outermost(struct trail_cursor *cursor)
{
  if (cursor->trail != NULL)
    cursor->trail->fresh[cursor->fresh_count - 1].step.return_at = TRAIL_OUTERMOST;
}

/* The place where the last walk had this very frame; below 0: nowhere. */
static ALWAYS_INLINE int trail_find(struct trail_cursor *cursor, const struct frame *frame)
{
  int known = cursor->known;
  while (known >= 0 && cursor->trail->frames[known].frame.sp < frame->sp)
    known--;
  cursor->known = known;
  if (known < 0)
    return known;
  const struct trail_frame *at = &cursor->trail->frames[known];
  bool is_same = at->frame.sp == frame->sp && at->frame.pc == frame->pc;
  return is_same && (!cursor->trail->needs_bp[known] || at->frame.bp == frame->bp) ? known : -1;
}

static ALWAYS_INLINE bool trail_read(const struct stack_window *window, uintptr_t address, uintptr_t *value)
{
  if (UNLIKELY(address - window->low >= window->high - window->low))
    return false;
  *value = *(const volatile uintptr_t *)address;
  return true;
}

/* From frames[known] of the last walk, where this walk is, too, with its bp: does the step still lead to the next one
 * outwards? */
static ALWAYS_INLINE bool trail_goes_on(const struct trail *trail, int known, const struct stack_window *window,
                                        uintptr_t *bp)
{
  const struct trail_frame *at = &trail->frames[known], *next = at - 1;
  uintptr_t sp = at->frame.sp, return_address, next_bp = *bp;
  if (at->step.return_at >= TRAIL_OUTERMOST ||
      !trail_read(window, sp + at->step.return_at * sizeof sp, &return_address) ||
      arch_strip(return_address) != next->frame.pc + 1)
    return false;
  if (at->step.bp_at != TRAIL_BP_KEPT && !trail_read(window, sp + at->step.bp_at * sizeof sp, &next_bp))
    return false;
  if (UNLIKELY(trail->needs_bp[known - 1]) && next_bp != next->frame.bp)
    return false;
  *bp = next_bp;
  return true;
}

#endif
