/* SPDX-License-Identifier: MIT */
#include "core/record.h"

#include "core/ahead.h"
#include "core/cuts.h"
#include "core/lanes/own_stacks.h"
#include "core/process.h"
#include "core/settle.h"
#include "core/timing.h"

static unsigned depth_limit = 1;
static uint64_t told_by_stacks; /* a mask: all bits in exact mode, else none */

/* Other threads write the lines of this one, too. */
static void leave_shared(uint32_t stack)
{
  trail_replace_stack(stack, stacks_part(stack));
}

void record_init(unsigned depth)
{
  depth_limit = depth;
  stacks_when_threads_meet(leave_shared);
  told_by_stacks = sampler_interval() == 1 ? UINT64_MAX : 0;
}

static COLD void count_cut(uint32_t flags)
{
  enum loss loss = cut_loss(cut_of(flags));
  region_lose(LOSS_truncated);
  if (loss != LOSS_COUNT)
    region_lose(loss);
}

unsigned record_depth(void)
{
  return depth_limit;
}

/* Walks the stack and interns it, unless it is the last one again. */
static ALWAYS_INLINE uint32_t intern_walk(const struct unwind_start *start, struct stack_window *window,
                                          struct trail *trail, struct walk_room *room, uint32_t flags)
{
  struct trail_cursor cursor = trail_begin(trail);
  unwind_walk(start, window, &cursor, room, depth_limit, &flags);
  trail_end(&cursor);
  if (UNLIKELY((flags & STACK_TRUNCATED) != 0))
    count_cut(flags);
  uint32_t stack = trail_stack(&cursor);
  if (stack != 0)
    return stack;
  unsigned depth = unwind_record_rest(&cursor, room, depth_limit);
  uint64_t hash = trail_hash(&cursor);
  stack = hash != 0 ? stacks_intern_hashed(hash, room->pcs, depth, flags) : stacks_intern(room->pcs, depth, flags);
  if (lanes_have_met())
    stack = own_stack_of(stack);
  if (LIKELY(!stacks_is_stand_in(stack))) /* which counts each time */
    trail_set_stack(trail, stack);
  return stack;
}

static COLD uint32_t intern_caller(const struct unwind_start *start, uint32_t flags)
{
  uintptr_t pc;
  region_lose(LOSS_short_stack);
  unsigned depth = unwind_caller(start, &pc, &flags);
  return stacks_intern(&pc, depth, flags);
}

/* On another stack than the thread's own (sigaltstack, coroutine), and where other threads have all the trails that it
 * may use. */
static COLD uint32_t intern_without_trail(const struct unwind_start *start, struct stack_window *window, uint32_t flags)
{
  struct scratch *scratch = scratch_take();
  if (scratch == NULL)
    return intern_caller(start, flags);
  uint32_t stack = intern_walk(start, window, NULL, &scratch->room, flags);
  scratch_give_back(scratch);
  return stack;
}

/* A walk would wait for each rule in turn. */
static ALWAYS_INLINE void fetch_rules(const struct unwind_start *start, const struct stack_window *window)
{
  size_t words = (window->high - start->sp) / sizeof(uintptr_t);
  rule_cache_fetch((const volatile uintptr_t *)(start->sp & -sizeof(uintptr_t)),
                   words < AHEAD_WORDS ? words : AHEAD_WORDS);
}

static SAMPLED NOINLINE uint32_t intern_with_trail(const struct unwind_start *start, struct stack_window *window,
                                                   struct trail *trail, const struct sampler_decision *decision)
{
  if (UNLIKELY(decision->is_cold) && !trail_begins_at(trail, start->return_address - 1, start->sp))
    fetch_rules(start, window);
  uint32_t stack = intern_walk(start, window, trail, &trail->room, 0);
  trail_give_back(trail);
  return stack;
}

static ALWAYS_INLINE uint32_t intern(const struct unwind_start *start, const struct sampler_decision *decision)
{
  struct stack_window window;
  struct trail *trail = stack_window_open(&window, start->sp) ? trail_take() : NULL;
  return LIKELY(trail != NULL) ? intern_with_trail(start, &window, trail, decision)
                               : intern_without_trail(start, &window, 0);
}

/* Not by the trail, which says of the next sample's walk that it was this one's. */
uint32_t record_stack(const struct unwind_start *start, uint32_t flags)
{
  struct stack_window window;
  (void)stack_window_open(&window, start->sp);
  uint32_t stack = intern_without_trail(start, &window, flags);
  return stacks_is_stand_in(stack) ? 0 : stack;
}

static ALWAYS_INLINE void count_free(struct live_entry entry)
{
  struct sample_weight weight = sampler_weigh(entry.size_bytes);
  weight.halves = entry.halves & HALF_BOTH;
  stacks_count_free(entry.stack, weight);
}

/* The address was given out again, so its last free never reached us (RTLD_DEEPBIND, __libc_free): count it now. */
static SAMPLED_EXACT NOINLINE void forget_stale(const void *pointer)
{
  struct live_entry stale;
  if (live_remove(pointer, &stale))
    count_free(stale);
}

/* Units of a sample that nobody has to add up: its stack tells them. */
static ALWAYS_INLINE uint64_t units_told(size_t size_bytes)
{
  return ((uint64_t)size_bytes + 1) & told_by_stacks;
}

/* No stack will tell of it. */
static COLD void lose(enum loss loss, size_t size_bytes)
{
  region_lose(loss);
  record_exact_units(units_told(size_bytes));
}

/* Apart from what walks the stack, which needs all that may be taken of it. */
static SAMPLED NOINLINE void count_new(const void *pointer, size_t size_bytes, uint32_t stack, unsigned coins)
{
  struct sample_weight weight = sampler_weigh(size_bytes);
  weight.halves = sampler_choose_halves(weight, coins) & HALF_BOTH;
  if (UNLIKELY(live_filter_may_hold(pointer)) && live_may_hold(pointer))
    forget_stale(pointer);
  if (!live_add(pointer, (struct live_entry){.stack = stack, .halves = weight.halves, .size_bytes = size_bytes})) {
    lose(LOSS_live_table, size_bytes);
    return;
  }
  stacks_count_allocation(stack, weight, pointer);
  this_thread.last_stack = stack;
}

static void record(const void *pointer, size_t size_bytes, const struct unwind_start *start,
                   const struct sampler_decision *decision)
{
  if (UNLIKELY(region_header() == NULL || !process_is_settled()) && !settle_for_sample()) {
    settle_lose_sample();
    record_exact_units(decision->units_counted);
    return;
  }
  uint64_t units = decision->units_counted - units_told(size_bytes);
  if (units != 0)
    record_exact_units(units);
  live_prefetch(pointer);
  uint32_t stack = intern(start, decision);
  if (stack == 0) {
    lose(LOSS_region, size_bytes);
    return;
  }
  count_new(pointer, size_bytes, stack, decision->coins);
}

void record_allocation(const void *pointer, size_t size_bytes, const struct unwind_start *start,
                       const struct sampler_decision *decision)
{
  uint64_t begin = timing_begin_sample(decision->ticks);
  record(arch_untag(pointer), size_bytes, start, decision);
  timing_end_sample(begin, decision->ticks);
}

void record_exact_units(uint64_t units)
{
  struct region_header *header = region_header();
  if (LIKELY(header != NULL) && process_is_settled())
    atomic_fetch_add_explicit(&header->exact_units, units, memory_order_relaxed);
}

static SAMPLED NOINLINE bool may_hold_timed(const void *pointer)
{
  uint64_t begin = ticks_now();
  if (live_may_hold(pointer))
    return true;
  timing_end_miss(begin);
  return false;
}

static ALWAYS_INLINE bool may_hold(const void *pointer)
{
  return timing_is_miss_timed() ? may_hold_timed(pointer) : live_may_hold(pointer);
}

/* What the real free will read comes into the cache beside what the live table needs. */
static ALWAYS_INLINE void prefetch_for_free(const void *pointer)
{
  live_prefetch(pointer);
  __builtin_prefetch((const char *)pointer - 2 * sizeof(size_t));
}

static SAMPLED NOINLINE void free_held(const void *pointer)
{
  struct live_entry entry;
  uint64_t begin = timing_begin_free();
  if (!process_is_settled()) {
    timing_end_free(begin, settle_defer_free(pointer));
    return;
  }
  bool is_found = live_remove(pointer, &entry);
  if (is_found)
    count_free(entry);
  timing_end_free(begin, is_found);
}

void record_free(const void *pointer)
{
  pointer = arch_untag(pointer);
  if (LIKELY(!may_hold(pointer)))
    return;
  prefetch_for_free(pointer);
  free_held(pointer);
}

bool record_take(const void *pointer, struct live_entry *entry)
{
  pointer = arch_untag(pointer);
  if (LIKELY(!may_hold(pointer)))
    return false;
  uint64_t begin = timing_begin_free();
  if (!process_is_settled() && !settle()) {
    (void)settle_defer_free(pointer);
    return false;
  }
  bool is_found = live_remove(pointer, entry);
  timing_end_free(begin, is_found);
  return is_found;
}

void record_taken_was_freed(struct live_entry entry)
{
  count_free(entry);
}

void record_put_back(const void *pointer, struct live_entry entry)
{
  if (!live_add(arch_untag(pointer), entry))
    count_free(entry);
}
