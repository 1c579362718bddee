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
 * 16 KiB of .bss, touched as far as stacks are deep. Fork: copied on write.
 *
 * What a walk records is written beside its trail, off the application's stack. Walks without a trail take scratch
 * memory for that: there is more as soon as all is taken, 9 KiB for each walk under way. A handler on an alternate
 * stack above the one it interrupted may take over its scratch, too.
 */
#ifndef HEAPPROF_TRAIL_H
#define HEAPPROF_TRAIL_H

#include "core/compiler.h"
#include "core/config.h"
#include "core/lanes/lanes.h"
#include "core/lock.h"
#include "core/rules.h"
#include "core/stack_bounds.h"
#include "core/stacks.h"
#include "core/steps.h"

#include <stdbool.h>
#include <stdint.h>

/* A frame and the step from there, in two words: a walk that finds the caches cold waits for each line of these. Where
 * the words that the step reads lie is told in words above the frame's sp. */
struct trail_frame {
  uint64_t pc; /* in 48 bits; above them where the return address is, or TRAIL_UNUSUAL, TRAIL_OUTERMOST */
  uint64_t sp; /* in 48 bits; above them where bp is, or TRAIL_BP_KEPT, in 13, and three flags */
};

enum {
  TRAIL_ADDRESS_BITS = 48,
  TRAIL_UNUSUAL = 0xffff,   /* worked out anew each time */
  TRAIL_OUTERMOST = 0xfffe, /* by its rule, the frame has no caller */
  TRAIL_BP_KEPT = 0x1fff,
};

#define TRAIL_ADDRESS ((1ull << TRAIL_ADDRESS_BITS) - 1)
#define TRAIL_COUNTS_FROM_BP (1ull << 61) /* its rule does */
#define TRAIL_IS_HIDDEN (1ull << 62)      /* nothing is recorded of the frame */
#define TRAIL_NEEDS_BP (1ull << 63)       /* the frames from here on outwards were found by its bp */

/* What stands above the addresses. */
struct trail_step {
  uint64_t above_pc, above_sp;
};

#define TRAIL_STEP_UNUSUAL                                                                                             \
  ((struct trail_step){(uint64_t)TRAIL_UNUSUAL << TRAIL_ADDRESS_BITS, (uint64_t)TRAIL_BP_KEPT << TRAIL_ADDRESS_BITS})

/* A word so many bytes above sp, a multiple of its size. What does not fit is a frame of 64 KiB or more. */
enum { TRAIL_BYTES_SHIFT = TRAIL_ADDRESS_BITS - 3 };

static ALWAYS_INLINE bool trail_step_fits(uintptr_t return_bytes, uintptr_t bp_bytes)
{
  return LIKELY(return_bytes < TRAIL_OUTERMOST * sizeof(uintptr_t) && bp_bytes < TRAIL_BP_KEPT * sizeof(uintptr_t));
}

static ALWAYS_INLINE uintptr_t trail_pc(const struct trail_frame *frame)
{
  return frame->pc & TRAIL_ADDRESS;
}

static ALWAYS_INLINE uintptr_t trail_sp(const struct trail_frame *frame)
{
  return frame->sp & TRAIL_ADDRESS;
}

static ALWAYS_INLINE uintptr_t trail_return_at(const struct trail_frame *frame)
{
  return frame->pc >> TRAIL_ADDRESS_BITS;
}

static ALWAYS_INLINE uintptr_t trail_bp_at(const struct trail_frame *frame)
{
  return frame->sp >> TRAIL_ADDRESS_BITS & TRAIL_BP_KEPT;
}

static ALWAYS_INLINE bool trail_needs_bp(const struct trail_frame *frame)
{
  return (frame->sp & TRAIL_NEEDS_BP) != 0;
}

/* What a walk under way writes, off the application's stack. No pointers: a handler that takes the room over would
 * leave its own. */
struct walk_room {
  struct frame frame;              /* where it is ... */
  unsigned steps;                  /* ... after so many steps, with ... */
  unsigned count;                  /* ... so many recorded */
  uintptr_t stepping_from;         /* the pc that an unusual step is made from */
  uintptr_t pcs[CONFIG_DEPTH_MAX]; /* innermost first */
  struct careful careful;
};

enum {
  TRAILS = LANES,
  TRAIL_FRAMES_MAX = 140, /* the usual depth, and our own frames; deeper walks leave no trail */
};

/* On a page lies what each walk touches; what only new frames need is behind it. */
struct trail {
  LARGE struct lock lock;
  unsigned count;
  _Atomic uint64_t stack; /* of the last walk, in this process (process.h); 0: not known */
  uint64_t generation;    /* of the rules */
  /* Of the last walk, the outermost frame first. */
  struct trail_frame frames[TRAIL_FRAMES_MAX];
  uint64_t hashes[TRAIL_FRAMES_MAX]; /* stacks_hash_add() of what is recorded, up to this frame */
  struct walk_room room;
  /* Of the walk under way, the innermost first. */
  struct trail_frame fresh[TRAIL_FRAMES_MAX];
  uintptr_t fresh_bps[TRAIL_FRAMES_MAX];
  uintptr_t bps[TRAIL_FRAMES_MAX]; /* of the last walk again, where one is needed */
};

/* Does the last walk begin with this frame? Then it is likely to be the next one, too. */
static ALWAYS_INLINE bool trail_begins_at(const struct trail *trail, uintptr_t pc, uintptr_t sp)
{
  if (trail->count == 0)
    return false;
  const struct trail_frame *innermost = &trail->frames[trail->count - 1];
  return trail_pc(innermost) == pc && trail_sp(innermost) == sp;
}

/* On the trail, during a walk. */
struct trail_cursor {
  struct trail *trail; /* NULL: nothing is known, nothing will be */
  int known;           /* the next frame of the last walk that this walk may come to; below 0: none */
  unsigned fresh_count;
  uint16_t kept_count; /* frames that this walk and the last one end with; ... */
  uint16_t left_count; /* ... so many of them, the outermost, are yet to be recorded */
  bool is_again;       /* this walk is the last one */
};

extern HIDDEN struct trail trails[TRAILS];

static ALWAYS_INLINE struct trail *trail_of_thread(void)
{
  return &trails[lane_of_thread()];
}

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

/* If the calling thread's last walk is this stack, it is the other one from now on, of the same frames. The trail need
 * not be taken. */
void trail_replace_stack(uint32_t stack, uint32_t other);

/* Nobody has code or a stack beyond 48 bits: where a walk went astray it is found nowhere again. */
static ALWAYS_INLINE void trail_note(struct trail_cursor *cursor, const struct frame *frame, struct trail_step step)
{
  if (cursor->trail == NULL || UNLIKELY(cursor->fresh_count >= TRAIL_FRAMES_MAX))
    return;
  cursor->trail->fresh_bps[cursor->fresh_count] = frame->bp;
  cursor->trail->fresh[cursor->fresh_count++] =
      (struct trail_frame){frame->pc | step.above_pc, frame->sp | step.above_sp};
}

/* The frame that was noted last has no caller, it turned out. */
static ALWAYS_INLINE void trail_note_outermost(struct trail_cursor *cursor)
{
  if (cursor->trail == NULL || cursor->fresh_count >= TRAIL_FRAMES_MAX)
    return;
  struct trail_frame *last = &cursor->trail->fresh[cursor->fresh_count - 1];
  last->pc = trail_pc(last) | (uint64_t)TRAIL_OUTERMOST << TRAIL_ADDRESS_BITS;
}

/* The place where the last walk had this very frame; below 0: nowhere. */
static ALWAYS_INLINE int trail_find(struct trail_cursor *cursor, const struct frame *frame)
{
  int known = cursor->known;
  while (known >= 0 && trail_sp(&cursor->trail->frames[known]) < frame->sp)
    known--;
  cursor->known = known;
  if (known < 0)
    return known;
  const struct trail_frame *at = &cursor->trail->frames[known];
  bool is_same = trail_sp(at) == frame->sp && trail_pc(at) == frame->pc;
  return is_same && (!trail_needs_bp(at) || cursor->trail->bps[known] == frame->bp) ? known : -1;
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
  uintptr_t sp = trail_sp(at), return_at = trail_return_at(at), bp_at = trail_bp_at(at), return_address, next_bp = *bp;
  if (return_at >= TRAIL_OUTERMOST || !trail_read(window, sp + return_at * sizeof sp, &return_address) ||
      arch_strip(return_address) != trail_pc(next) + 1)
    return false;
  if (bp_at != TRAIL_BP_KEPT && !trail_read(window, sp + bp_at * sizeof sp, &next_bp))
    return false;
  if (UNLIKELY(trail_needs_bp(next)) && next_bp != trail->bps[known - 1])
    return false;
  *bp = next_bp;
  return true;
}

#endif
