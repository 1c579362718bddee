/* SPDX-License-Identifier: MIT */
#include "core/live/live_ahead.h"

#include "core/lock.h"

#include <stdatomic.h>
#include <stdint.h>

/* Where the next object would lie, and how far it is from the last one to there. */
struct run {
  _Atomic uintptr_t next;
  _Atomic size_t stride_bytes;
};

/* By the thread's number: thread-local memory is scarce. */
enum { THREADS = 128 };
static LARGE struct {
  _Alignas(64) struct run allocated;
  struct run freed;
} runs[THREADS];

static unsigned own(void)
{
  return lock_thread_identity() * 0x9e3779b97f4a7c15u >> 32 & (THREADS - 1);
}

/* What an object takes in most allocators: a word for the allocator, and whole pairs of words. */
static size_t stride_of(size_t size_bytes)
{
  enum { WORD = sizeof(uintptr_t), PAIR = 2 * WORD };
  return (size_bytes + WORD + PAIR - 1) & ~(size_t)(PAIR - 1);
}

/* In a run, the one after the next is fetched: the next one would come too late. It is guessed to take as much as the
 * one before this, so that two kinds of objects in turn are a run, too. */
static ALWAYS_INLINE void look_ahead(struct run *run, const void *pointer, size_t size_bytes)
{
  size_t stride = stride_of(size_bytes), stride_before = atomic_load_explicit(&run->stride_bytes, memory_order_relaxed);
  uintptr_t next = (uintptr_t)pointer + stride;
  if (atomic_load_explicit(&run->next, memory_order_relaxed) == (uintptr_t)pointer)
    live_index_prefetch_line(live_index_hash((const void *)(next + stride_before)));
  atomic_store_explicit(&run->next, next, memory_order_relaxed);
  atomic_store_explicit(&run->stride_bytes, stride, memory_order_relaxed);
}

void live_ahead_of_allocated(const void *pointer, size_t size_bytes)
{
  look_ahead(&runs[own()].allocated, pointer, size_bytes);
}

void live_ahead_of_freed(const void *pointer, size_t size_bytes)
{
  look_ahead(&runs[own()].freed, pointer, size_bytes);
}
