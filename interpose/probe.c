/* SPDX-License-Identifier: MIT */
#include "interpose/probe.h"

#include "core/sampler.h"

static bool take(struct probe *probe)
{
  if (lock_try(&probe->lock))
    return true;
  if (lock_is_ours(&probe->lock) || atomic_load(&probe->is_given_up))
    return false;
  bool is_taken = lock_try_for_a_moment(&probe->lock);
  if (!is_taken)
    atomic_store(&probe->is_given_up, true);
  return is_taken;
}

/* The answer is there before the object is given back: also for what that allocates. */
static void ask(struct probe *probe)
{
  uint64_t begun = sampler_probe_begin();
  void *pointer = probe->make();
  bool was_entered = sampler_probe_end(begun);
  if (pointer == NULL)
    return;
  atomic_store(&probe->counting, was_entered ? COUNTING_INSIDE : COUNTING_HERE);
  probe->release(pointer);
}

enum counting probe_ask(struct probe *probe, bool is_allocators)
{
  if (!is_allocators)
    atomic_store(&probe->counting, COUNTING_INSIDE);
  else if (take(probe)) {
    if (atomic_load(&probe->counting) == COUNTING_UNKNOWN)
      ask(probe);
    lock_release(&probe->lock);
  }
  return atomic_load(&probe->counting) == COUNTING_HERE ? COUNTING_HERE : COUNTING_INSIDE;
}
