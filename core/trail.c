/* SPDX-License-Identifier: MIT */
#include "core/trail.h"

#include "core/modules.h"
#include "core/process.h"
#include "core/region.h"

struct trail trails[TRAILS];

struct trail *trail_take(void)
{
  struct trail *trail = trail_of_thread();
  return LIKELY(lock_try(&trail->lock)) ? trail : NULL;
}

void trail_give_back(struct trail *trail)
{
  if (LIKELY(trail != NULL))
    lock_release(&trail->lock);
}

struct trail_cursor trail_begin(struct trail *trail)
{
  struct trail_cursor cursor = {.trail = trail, .known = -1};
  if (UNLIKELY(trail == NULL))
    return cursor;
  uint64_t generation = atomic_load_explicit(&rule_generation, memory_order_acquire);
  if (UNLIKELY(trail->generation != generation)) {
    trail->count = 0;
    trail->generation = generation;
  }
  cursor.known = (int)trail->count - 1;
  return cursor;
}

void trail_note_again(struct trail_cursor *cursor, int first, int last, uintptr_t bp)
{
  for (int at = first; at >= last && cursor->fresh_count < TRAIL_FRAMES_MAX; at--) {
    struct trail_frame *fresh = &cursor->trail->fresh[cursor->fresh_count];
    *fresh = cursor->trail->frames[at];
    fresh->sp &= ~TRAIL_NEEDS_BP; /* of that walk */
    cursor->trail->fresh_bps[cursor->fresh_count++] = bp;
    if (trail_bp_at(fresh) != TRAIL_BP_KEPT) /* where it was read just now */
      bp = *(const volatile uintptr_t *)(trail_sp(fresh) + trail_bp_at(fresh) * sizeof bp);
  }
}

/* Puts the fresh frames upon `count` that are there; returns how many there are then. */
static unsigned put_upon(struct trail *trail, unsigned count, unsigned fresh_count)
{
  uint64_t hash = count > 0 ? trail->hashes[count - 1] : STACKS_HASH_START;
  bool needs_bp = count > 0 && trail_needs_bp(&trail->frames[count - 1]);
  for (unsigned left = fresh_count; left-- > 0; count++) {
    struct trail_frame fresh = trail->fresh[left];
    if (UNLIKELY(needs_bp))
      needs_bp = trail_bp_at(&fresh) == TRAIL_BP_KEPT;
    if (UNLIKELY(needs_bp || (fresh.sp & TRAIL_COUNTS_FROM_BP) != 0)) {
      needs_bp = true;
      trail->bps[count] = trail->fresh_bps[left];
      fresh.sp |= TRAIL_NEEDS_BP;
    }
    if (LIKELY((fresh.sp & TRAIL_IS_HIDDEN) == 0))
      hash = stacks_hash_add(hash, modules_recorded_pc(trail_pc(&fresh)));
    trail->frames[count] = fresh;
    trail->hashes[count] = hash;
  }
  return count;
}

void trail_end(struct trail_cursor *cursor)
{
  struct trail *trail = cursor->trail;
  if (UNLIKELY(trail == NULL))
    return;
  cursor->is_again = cursor->fresh_count == 0 && cursor->kept_count == trail->count && trail->count > 0;
  if (cursor->is_again)
    return;
  /* Left by siglongjmp from here on, it is empty. */
  trail->count = 0;
  atomic_store_explicit(&trail->stack, 0, memory_order_relaxed);
  atomic_signal_fence(memory_order_release);
  if (cursor->fresh_count == TRAIL_FRAMES_MAX || cursor->kept_count + cursor->fresh_count > TRAIL_FRAMES_MAX)
    return;
  unsigned count = put_upon(trail, cursor->kept_count, cursor->fresh_count);
  atomic_signal_fence(memory_order_release);
  trail->count = count;
}

uint64_t trail_hash(const struct trail_cursor *cursor)
{
  const struct trail *trail = cursor->trail;
  return trail != NULL && trail->count > 0 ? trail->hashes[trail->count - 1] : 0;
}

uint32_t trail_stack(const struct trail_cursor *cursor)
{
  /* A forked child has buckets of its own for the same frames. */
  if (!cursor->is_again)
    return 0;
  uint64_t stack =
      atomic_load_explicit(&cursor->trail->stack, memory_order_acquire /* pairs with trail_replace_stack */);
  return process_is_of_now(stack) ? (uint32_t)stack : 0;
}

void trail_set_stack(struct trail *trail, uint32_t stack)
{
  if (LIKELY(trail != NULL))
    atomic_store_explicit(&trail->stack, process_epoch() | stack, memory_order_relaxed);
}

/* Threads of one lane have one trail, and this one has not taken it: who finds the other stack there finds its record.
 */
void trail_replace_stack(uint32_t stack, uint32_t other)
{
  uint64_t last = process_epoch() | stack;
  (void)atomic_compare_exchange_strong_explicit(&trail_of_thread()->stack, &last, process_epoch() | other,
                                                memory_order_release /* pairs with trail_stack */,
                                                memory_order_relaxed);
}

/* Scratch. */

/* Chunk k holds FIRST_CHUNK << k of them: in all enough for 4,000 walks at once. */
enum { FIRST_CHUNK = 8, CHUNKS = 9 };

static LARGE struct scratch first_chunk[FIRST_CHUNK];
static _Atomic(struct scratch *) chunks[CHUNKS] = {first_chunk};

static size_t chunk_length(unsigned chunk)
{
  return (size_t)FIRST_CHUNK << chunk;
}

/* NULL: no memory. */
static struct scratch *chunk_at(unsigned chunk)
{
  struct scratch *known = atomic_load_explicit(&chunks[chunk], memory_order_acquire);
  if (known != NULL)
    return known;
  size_t size = chunk_length(chunk) * sizeof(struct scratch);
  struct scratch *fresh = sys_map_anonymous(size);
  if (fresh == NULL)
    return NULL;
  if (atomic_compare_exchange_strong(&chunks[chunk], &known, fresh)) {
    region_add_own(fresh, size);
    return fresh;
  }
  sys_munmap(fresh, size);
  return known;
}

/* A thread begins at the same place each time, where it finds what it left. */
struct scratch *scratch_take(void)
{
  size_t first = (size_t)(lock_thread_identity() * 0x9e3779b97f4a7c15u >> 32);
  for (unsigned chunk = 0; chunk < CHUNKS; chunk++) {
    struct scratch *scratches = chunk_at(chunk);
    if (scratches == NULL)
      return NULL;
    for (size_t i = 0; i < chunk_length(chunk); i++) {
      struct scratch *scratch = &scratches[(first + i) % chunk_length(chunk)];
      if (lock_try(&scratch->lock))
        return scratch;
    }
  }
  return NULL;
}

void scratch_give_back(struct scratch *scratch)
{
  lock_release(&scratch->lock);
}
