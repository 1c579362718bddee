/* SPDX-License-Identifier: MIT */
#include "core/unwind.h"

#include "core/cuts.h"
#include "core/modules.h"
#include "core/rules.h"
#include "core/stacks.h"

static struct address_range hidden;

/* Our own frames: few, only where a real function calls back into the program or into another hook. */
enum { HIDDEN_FRAMES_MAX = 8 };

void unwind_hide(uintptr_t low, uintptr_t high)
{
  hidden = (struct address_range){low, high};
}

static bool is_hidden(uintptr_t pc)
{
  return pc >= hidden.low && pc < hidden.high;
}

/* Nearly all frames: a known rule, CFA from sp or bp, bp kept or saved at the CFA, everything on this stack and above
 * sp. False: nothing was done. Offsets are multiples of a word, so where the CFA is aligned the
 * words are. */
static ALWAYS_INLINE bool step_usually(const struct stack_window *window, struct frame *frame, struct trail_step *made)
{
  packed_rule rule = rule_cache_get(frame->pc);
  enum rule_kind kind = rule_kind(rule);
  enum rule_bp saved = rule_bp(rule);
  uintptr_t cfa = (kind == RULE_SP ? frame->sp : frame->bp) + (uintptr_t)rule_cfa_offset(rule);
  uintptr_t return_at = cfa + (uintptr_t)rule_ra_offset(rule), bp_at = cfa + (uintptr_t)rule_bp_offset(rule);
  uintptr_t span = window->high - window->low;
  if (UNLIKELY((unsigned)kind - RULE_SP > RULE_BP - RULE_SP || saved > RULE_BP_AT_CFA || cfa % sizeof cfa != 0 ||
               cfa <= frame->sp || return_at < frame->sp || return_at - window->low >= span))
    return false;
  uintptr_t return_address = *(const volatile uintptr_t *)return_at;
  if (UNLIKELY(return_address == 0))
    return false;
  uintptr_t return_bytes = return_at - frame->sp, bp_bytes = 0;
  made->above_sp = (uint64_t)TRAIL_BP_KEPT << TRAIL_ADDRESS_BITS;
  if (saved == RULE_BP_AT_CFA) {
    if (UNLIKELY(bp_at < frame->sp || bp_at - window->low >= span))
      return false;
    bp_bytes = bp_at - frame->sp;
    made->above_sp = (uint64_t)bp_bytes << TRAIL_BYTES_SHIFT;
    frame->bp = *(const volatile uintptr_t *)bp_at;
  }
  made->above_pc = (uint64_t)return_bytes << TRAIL_BYTES_SHIFT;
  if (kind == RULE_BP)
    made->above_sp |= TRAIL_COUNTS_FROM_BP;
  if (UNLIKELY(!trail_step_fits(return_bytes, bp_bytes)))
    *made = TRAIL_STEP_UNUSUAL;
  frame->pc = arch_strip(return_address) - 1;
  frame->sp = cfa;
  return true;
}

struct walk {
  struct stack_window *window;
  struct trail_cursor *trail;
  struct walk_room *room;
  unsigned depth;
  const struct unwind_start *start;
  uint32_t *flags;
};

static ALWAYS_INLINE enum step put_frame(const struct walk *walk, uintptr_t pc)
{
  struct walk_room *room = walk->room;
  if (UNLIKELY(is_hidden(pc)))
    return STEP_CALLER;
  if (UNLIKELY(room->count == walk->depth))
    return STEP_FULL;
  room->pcs[room->count++] = modules_recorded_pc(pc);
  return STEP_CALLER;
}

/* Records frames[first] outwards to frames[last] of the last walk. */
static SAMPLED NOINLINE enum step put_frames(const struct walk *walk, const struct trail_frame *frames, int first,
                                             int last)
{
  enum step stepped = STEP_CALLER;
  for (int at = first; at >= last && stepped == STEP_CALLER; at--)
    stepped = put_frame(walk, trail_pc(&frames[at]));
  return stepped;
}

/* From `known` outwards, as far as the last walk's steps are there still. Where there may be no room for all of them,
 * they are recorded on the way. */
static ALWAYS_INLINE int compare_frames(const struct walk *walk, int known, bool has_room, uintptr_t *bp,
                                        enum step *stepped)
{
  const struct trail *trail = walk->trail->trail;
  while (known > 0 && trail_goes_on(trail, known, walk->window, bp)) {
    if (UNLIKELY(!has_room) && (*stepped = put_frame(walk, trail_pc(&trail->frames[known - 1]))) != STEP_CALLER)
      break;
    known--;
  }
  return known;
}

/* Something is recorded, and all that the last walk found from here on fits beside it. */
static ALWAYS_INLINE bool has_room_for(const struct walk *walk, int known)
{
  unsigned count = walk->room->count;
  return LIKELY(count > 0 && count + (unsigned)known <= walk->depth);
}

/* Follows the last walk as far as it went the same way. False: not a single step. What is the same to the end is not
 * recorded yet: most often the whole stack is known. */
static ALWAYS_INLINE bool follow_trail(const struct walk *walk, struct frame *frame, enum step *stepped)
{
  struct trail_cursor *trail = walk->trail;
  int first = trail_find(trail, frame);
  if (first < 0)
    return false;
  const struct trail_frame *frames = trail->trail->frames;
  uintptr_t bp = frame->bp;
  bool has_room = has_room_for(walk, first);
  int known = compare_frames(walk, first, has_room, &bp, stepped);
  if (trail_return_at(&frames[known]) == TRAIL_OUTERMOST)
    *stepped = STEP_OUT;
  else if (*stepped == STEP_FULL)
    known--;
  if (known == 0 && *stepped == ((frames[0].sp & TRAIL_IS_HIDDEN) != 0 ? STEP_FULL : STEP_OUT)) {
    trail->kept_count = (uint16_t)(first + 1);
    trail->left_count = (uint16_t)(has_room ? first : 0);
  } else {
    if (has_room)
      (void)put_frames(walk, frames, first - 1, known);
    trail_note_again(trail, first, known + 1, frame->bp);
  }
  trail->known = known - 1;
  *frame = (struct frame){.pc = trail_pc(&frames[known]), .sp = trail_sp(&frames[known]), .bp = bp};
  return known != first || *stepped != STEP_CALLER;
}

/* Before an unusual step from room->frame the frame is where it was. */
static ALWAYS_INLINE enum step make_usual_step(const struct walk *walk, struct frame *frame)
{
  struct frame from = *frame;
  struct trail_step made;
  if (UNLIKELY(!step_usually(walk->window, frame, &made)))
    return STEP_UNUSUAL;
  if (UNLIKELY(is_hidden(from.pc)))
    made.above_sp |= TRAIL_IS_HIDDEN;
  trail_note(walk->trail, &from, made);
  return put_frame(walk, frame->pc);
}

/* From `frame` as far as it goes by the last walk and by usual steps; room->frame is where that was. */
static ALWAYS_INLINE enum step walk_usually(const struct walk *walk, struct frame frame, unsigned steps,
                                            enum step stepped)
{
  for (; stepped == STEP_CALLER && steps < walk->depth + HIDDEN_FRAMES_MAX; steps++)
    if (!follow_trail(walk, &frame, &stepped))
      stepped = make_usual_step(walk, &frame);
  if (UNLIKELY(stepped != STEP_OUT)) {
    walk->room->steps = steps;
    walk->room->frame = frame;
  }
  return stepped;
}

static SAMPLED NOINLINE enum step walk_on_usually(struct stack_window *window, struct trail_cursor *trail,
                                                  struct walk_room *room, unsigned depth)
{
  const struct walk walk = {.window = window, .trail = trail, .room = room, .depth = depth};
  return walk_usually(&walk, room->frame, room->steps, STEP_CALLER);
}

static SAMPLED NOINLINE void begin_unusual_step(struct trail_cursor *trail, struct walk_room *room)
{
  room->stepping_from = room->frame.pc;
  struct trail_step step = TRAIL_STEP_UNUSUAL;
  if (is_hidden(room->frame.pc))
    step.above_sp |= TRAIL_IS_HIDDEN;
  trail_note(trail, &room->frame, step);
}

static SAMPLED NOINLINE enum step end_unusual_step(struct trail_cursor *trail, struct walk_room *room, unsigned depth,
                                                   enum step stepped)
{
  const struct walk walk = {.room = room, .depth = depth};
  /* Only now is it known whether its library lies where another one had been. */
  if (!is_hidden(room->stepping_from) && room->count > 0)
    room->pcs[room->count - 1] = modules_recorded_pc(room->stepping_from);
  if (stepped == STEP_OUT)
    trail_note_outermost(trail);
  return stepped == STEP_CALLER ? put_frame(&walk, room->frame.pc) : stepped;
}

static COLD enum cut cut_by(enum step last, const struct stack_window *window)
{
  switch (last) {
  case STEP_CALLER: /* frames of ours beyond all measure */
  case STEP_FULL: return CUT_depth;
  case STEP_UNREADABLE: return stack_window_is_own(window) ? CUT_unreadable : CUT_foreign_stack;
  case STEP_UNUSUAL:
  case STEP_LOST:
  case STEP_END: /* where only frame pointers led: it tells nothing */
  case STEP_OUT: break;
  }
  return CUT_no_cfi;
}

static NOINLINE void end_oddly(const struct unwind_start *start, const struct stack_window *window,
                               struct trail_cursor *trail, struct walk_room *room, uint32_t *flags, enum step stepped)
{
  if ((stepped == STEP_FULL || stepped == STEP_CALLER) && trail->kept_count == 0) { /* where it goes on to */
    struct trail_step step = TRAIL_STEP_UNUSUAL;
    step.above_sp |= TRAIL_IS_HIDDEN;
    trail_note(trail, &room->frame, step);
  }
  if (stepped != STEP_OUT && (stepped != STEP_END || (*flags & STACK_FRAME_POINTERS) != 0))
    *flags |= cut_flags(cut_by(stepped, window));
  if (UNLIKELY(room->count == 0))
    room->count = unwind_caller(start, room->pcs, flags);
}

static bool has_ended(const struct walk_room *room, enum step stepped)
{
  return stepped == STEP_OUT && room->count > 0;
}

/* By unusual steps, too. Of the application's stack nothing is taken meanwhile that only usual ones need. */
static SAMPLED NOINLINE void walk_on(const struct unwind_start *start, struct stack_window *window,
                                     struct trail_cursor *trail, struct walk_room *room, unsigned depth,
                                     uint32_t *flags)
{
  enum step stepped;
  room->careful.is_under_way = false;
  do {
    begin_unusual_step(trail, room);
    stepped = step_unusually(window, &room->frame, &room->careful, flags);
    stepped = end_unusual_step(trail, room, depth, stepped);
    if (stepped == STEP_CALLER)
      stepped = walk_on_usually(window, trail, room, depth);
  } while (stepped == STEP_UNUSUAL);
  if (!has_ended(room, stepped))
    end_oddly(start, window, trail, room, flags, stepped);
}

static COLD void end_first(const struct walk *walk, enum step stepped)
{
  end_oddly(walk->start, walk->window, walk->trail, walk->room, walk->flags, stepped);
}

void unwind_walk(const struct unwind_start *start, struct stack_window *window, struct trail_cursor *trail,
                 struct walk_room *room, unsigned depth, uint32_t *flags)
{
  /* In memory: that leaves the registers to the frames. */
  const struct walk walk = {
      .window = window, .trail = trail, .room = room, .depth = depth, .start = start, .flags = flags};
  struct frame frame = {.pc = start->return_address - 1, .sp = start->sp, .bp = start->bp};
  room->count = 0;
  enum step stepped = put_frame(&walk, frame.pc);
  stepped = walk_usually(&walk, frame, 0, stepped);
  if (LIKELY(has_ended(room, stepped)))
    return;
  if (stepped == STEP_UNUSUAL)
    walk_on(start, window, trail, room, depth, flags);
  else
    end_first(&walk, stepped);
}

unsigned unwind_record_rest(const struct trail_cursor *trail, struct walk_room *room, unsigned depth)
{
  const struct walk walk = {.room = room, .depth = depth};
  if (trail->left_count > 0)
    (void)put_frames(&walk, trail->trail->frames, (int)trail->left_count - 1, 0);
  return room->count;
}

unsigned unwind_caller(const struct unwind_start *start, uintptr_t *pcs, uint32_t *flags)
{
  pcs[0] = modules_recorded_pc(start->return_address - 1);
  if ((*flags & STACK_TRUNCATED) == 0)
    *flags |= cut_flags(CUT_no_memory);
  return 1;
}

/* An address that is recorded in place of another one (modules.h) is no place to look a rule up at. */
static bool may_be_of_handler(uintptr_t recorded)
{
  return recorded >> TRAIL_ADDRESS_BITS != 0 || step_is_over_signal(recorded);
}

bool unwind_meets_handler(const struct unwind_start *start)
{
  struct stack_window window;
  struct scratch *scratch = scratch_take();
  if (scratch == NULL)
    return true;
  (void)stack_window_open(&window, start->sp);
  struct trail_cursor none = trail_begin(NULL);
  uint32_t flags = 0;
  unwind_walk(start, &window, &none, &scratch->room, CONFIG_DEPTH_MAX, &flags);
  trail_end(&none);
  unsigned depth = unwind_record_rest(&none, &scratch->room, CONFIG_DEPTH_MAX);
  bool meets = (flags & STACK_TRUNCATED) != 0;
  for (unsigned i = 0; i < depth && !meets; i++)
    meets = may_be_of_handler(scratch->room.pcs[i]);
  scratch_give_back(scratch);
  return meets;
}
