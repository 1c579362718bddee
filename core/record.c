/* SPDX-License-Identifier: MIT */
#include "core/record.h"

#include "core/config.h"
#include "core/lock.h"
#include "core/process.h"
#include "core/ticks.h"

/* What a walk with its buffer of pcs may use of the application's stack (tests/policy checks it against -fstack-usage). */
enum {
  SHALLOW_DEPTH = 128,
  SHALLOW_HEADROOM_BYTES = 4 << 10,
  DEEP_HEADROOM_BYTES = 8 << 10,
  FREES_TIMED_ONE_IN = 8,   /* of samples; reading the clock takes a good part of what they take */
  MISSES_TIMED_ONE_IN = 32, /* of objects on a page with a sample, which take less than reading the clock */
  /* The branch that leads here is hardly ever taken, so it was not foreseen, and nothing behind it can see what that took.
   * Without this, what is told stays up to a third below what is seen from outside (tests/bench/overhead.py). */
  UNFORESEEN_TICKS = 20,
};

static unsigned depth_limit = SHALLOW_DEPTH;

void record_init(unsigned depth)
{
  depth_limit = depth;
}

/* Buffers for stacks of unknown room. A thread that left one by siglongjmp may take it again. */
static struct {
  struct lock lock;
  uintptr_t pcs[CONFIG_DEPTH_MAX];
} spare_buffers[8];

void record_was_forked(void)
{
  for (size_t i = 0; i < COUNT_OF(spare_buffers); i++)
    lock_release(&spare_buffers[i].lock);
  trails_were_forked();
}

/* The stack, into `pcs`, which has room for depth_limit of them; from there into the table, unless it is the last one again. */
static ALWAYS_INLINE uint32_t intern_walk(const struct unwind_start *start, struct stack_window *window,
                                          struct trail *trail, uintptr_t *pcs)
{
  uint32_t flags = 0;
  struct trail_cursor cursor = trail_begin(trail);
  unsigned depth = unwind_walk(start, window, &cursor, pcs, depth_limit, &flags);
  trail_end(&cursor);
  if (UNLIKELY((flags & STACK_TRUNCATED) != 0))
    region_lose(LOSS_truncated);
  uint32_t stack = trail_stack(&cursor);
  if (stack != 0)
    return stack;
  uint64_t hash = trail_hash(&cursor);
  stack = hash != 0 ? stacks_intern_hashed(hash, pcs, depth, flags) : stacks_intern(pcs, depth, flags);
  if (LIKELY(!stacks_is_stand_in(stack))) /* which counts each time */
    trail_set_stack(trail, stack);
  return stack;
}

static ALWAYS_INLINE uint32_t intern_own(const struct unwind_start *start, struct stack_window *window, uintptr_t *pcs)
{
  struct trail *trail = trail_take();
  uint32_t stack = intern_walk(start, window, trail, pcs);
  trail_give_back(trail);
  return stack;
}

static NOINLINE uint32_t intern_shallow(const struct unwind_start *start, struct stack_window *window)
{
  uintptr_t pcs[SHALLOW_DEPTH];
  return intern_own(start, window, pcs);
}

static NOINLINE uint32_t intern_deep(const struct unwind_start *start, struct stack_window *window)
{
  uintptr_t pcs[CONFIG_DEPTH_MAX];
  return intern_own(start, window, pcs);
}

static COLD uint32_t intern_caller(const struct unwind_start *start)
{
  uintptr_t pc;
  uint32_t flags = 0;
  region_lose(LOSS_short_stack);
  return stacks_intern(&pc, unwind_caller(start, &pc, &flags), flags);
}

/* sigaltstack or coroutine: the buffer comes from elsewhere. */
static COLD uint32_t intern_foreign(const struct unwind_start *start, struct stack_window *window)
{
  for (size_t i = 0; i < COUNT_OF(spare_buffers); i++) {
    if (!lock_try(&spare_buffers[i].lock))
      continue;
    uint32_t stack = intern_walk(start, window, NULL, spare_buffers[i].pcs);
    lock_release(&spare_buffers[i].lock);
    return stack;
  }
  return intern_caller(start);
}

static uint32_t intern(const struct unwind_start *start)
{
  struct stack_window window;
  bool is_shallow = depth_limit <= SHALLOW_DEPTH;
  switch (stack_window_open(&window, start->sp, is_shallow ? SHALLOW_HEADROOM_BYTES : DEEP_HEADROOM_BYTES)) {
  case STACK_ROOM_AMPLE: return is_shallow ? intern_shallow(start, &window) : intern_deep(start, &window);
  case STACK_ROOM_UNKNOWN: return intern_foreign(start, &window);
  case STACK_ROOM_SHORT: break;
  }
  return intern_caller(start);
}

/* The address was given out again, so its last free never reached us (RTLD_DEEPBIND, __libc_free): count it now. */
static void forget_stale(const void *pointer)
{
  struct live_entry stale;
  if (UNLIKELY(live_filter_may_hold(pointer)) && live_may_hold(pointer) && live_remove(pointer, &stale))
    stacks_count_free(stale.stack, stale.weight);
}

static void record(const void *pointer, size_t size_bytes, const struct unwind_start *start)
{
  if (UNLIKELY(region_header() == NULL) || (!process_is_settled() && !process_settle())) {
    process_lose_sample();
    return;
  }
  struct live_entry entry = {.stack = intern(start), .weight = sampler_weigh(size_bytes)};
  if (entry.stack == 0) {
    region_lose(LOSS_region);
    return;
  }
  forget_stale(pointer);
  if (!live_add(pointer, entry)) {
    region_lose(LOSS_live_table);
    return;
  }
  stacks_count_allocation(entry.stack, entry.weight);
}

static NOINLINE void add_free_ticks(uint64_t ticks)
{
  struct region_header *header = region_header();
  if (ticks > 0 && process_is_settled() && header != NULL)
    atomic_fetch_add_explicit(&header->look_up_ticks, ticks, memory_order_relaxed);
}

void record_allocation(const void *pointer, size_t size_bytes, const struct unwind_start *start,
                       struct sampler_decision decision)
{
  bool is_timed = decision.ticks > 0;
  uint64_t begin = is_timed ? ticks_now() : 0;
  record(pointer, size_bytes, start);
  record_exact_units(decision.units_counted);
  uint64_t ticks = is_timed ? ticks_since(begin) : 0;
  struct region_header *header = region_header();
  if (ticks > 0 && process_is_settled() && header != NULL) {
    atomic_fetch_add_explicit(&header->timed_ticks, decision.ticks + ticks + UNFORESEEN_TICKS, memory_order_relaxed);
    atomic_fetch_add_explicit(&header->timed_samples, 1, memory_order_relaxed);
  }
  if (sampler_thread.look_up_ticks > 0) {
    add_free_ticks(sampler_thread.look_up_ticks);
    sampler_thread.look_up_ticks = 0;
  }
}

void record_exact_units(uint64_t units)
{
  struct region_header *header = region_header();
  if (LIKELY(header != NULL) && process_is_settled())
    atomic_fetch_add_explicit(&header->exact_units, units, memory_order_relaxed);
}

/* The middle one of so many: a thread that frees few is not charged for all of them at the first, which is the slowest. */
static ALWAYS_INLINE bool is_timed_one_of(uint8_t *turn, unsigned count)
{
  return UNLIKELY(++*turn % count == count / 2);
}

static NOINLINE bool may_hold_timed(const void *pointer)
{
  uint64_t begin = ticks_now();
  if (live_may_hold(pointer))
    return true;
  uint64_t ticks = ticks_since(begin);
  if (ticks > 0)
    sampler_thread.look_up_ticks += MISSES_TIMED_ONE_IN * ((uint32_t)ticks + UNFORESEEN_TICKS);
  return false;
}

/* Nothing shared is written for an object that is not in the table: what looking took waits for the thread's next sample. */
static ALWAYS_INLINE bool may_hold(const void *pointer)
{
  bool is_timed = is_timed_one_of(&sampler_thread.miss_turn, MISSES_TIMED_ONE_IN);
  return UNLIKELY(is_timed) ? may_hold_timed(pointer) : live_may_hold(pointer);
}

/* The clock when what a free takes is measured for others, else 0. */
static ALWAYS_INLINE uint64_t begin_free(void)
{
  return is_timed_one_of(&sampler_thread.free_turn, FREES_TIMED_ONE_IN) ? ticks_now() : 0;
}

/* What the filters let through, and is not in the table, is like a miss: nothing shared is written. */
static void end_free(uint64_t begin, bool is_found)
{
  uint64_t ticks = begin != 0 ? FREES_TIMED_ONE_IN * (ticks_since(begin) + UNFORESEEN_TICKS) : 0;
  if (is_found && ticks > 0)
    add_free_ticks(ticks);
  else
    sampler_thread.look_up_ticks += (uint32_t)ticks;
}

static NOINLINE void free_held(const void *pointer)
{
  struct live_entry entry;
  uint64_t begin = begin_free();
  if (!process_is_settled()) {
    end_free(begin, process_defer_free(pointer));
    return;
  }
  bool is_found = live_remove(pointer, &entry);
  if (is_found)
    stacks_count_free(entry.stack, entry.weight);
  end_free(begin, is_found);
}

void record_free(const void *pointer)
{
  if (UNLIKELY(may_hold(pointer)))
    free_held(pointer);
}

bool record_take(const void *pointer, struct live_entry *entry)
{
  if (LIKELY(!may_hold(pointer)))
    return false;
  uint64_t begin = begin_free();
  if (!process_is_settled() && !process_settle()) {
    (void)process_defer_free(pointer);
    return false;
  }
  bool is_found = live_remove(pointer, entry);
  end_free(begin, is_found);
  return is_found;
}

void record_taken_was_freed(struct live_entry entry)
{
  stacks_count_free(entry.stack, entry.weight);
}

void record_put_back(const void *pointer, struct live_entry entry)
{
  if (!live_add(pointer, entry))
    stacks_count_free(entry.stack, entry.weight);
}
