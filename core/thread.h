/* SPDX-License-Identifier: MIT */
/* What the library keeps of every thread: of the sampler, of the bounds of its stack, of what is timed.
 *
 * Plain data: no constructor, no destructor, zero is the valid start. Initial-exec, so that no access can allocate; a
 * preload's static TLS is scarce.
 *
 * Threads: the calling thread's own. Signals: a handler may change any field between two steps. Fork: the child's one
 * thread goes on with its parent's.
 */
#ifndef HEAPPROF_THREAD_H
#define HEAPPROF_THREAD_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct thread {
  /* The sampler's. */
  uint64_t countdown; /* units to go */
  uint64_t interval;  /* the distance countdown started from */
  uint64_t prng;
  /* Of the stack: [low, high) was verified to be readable, and it reaches no deeper than floor; see stack_bounds.h. */
  uintptr_t stack_low;
  uintptr_t stack_high;
  uintptr_t stack_floor;
  /* To time some of many, see timing.h. */
  uint32_t look_up_ticks; /* spent on look-ups that found nothing, since the last sample */
  uint8_t sample_turn;
  uint8_t free_turn;
  uint8_t miss_turn;   /* of frees that look for a sample in vain */
  bool is_resolving;   /* this thread is inside dlsym, called by real_ensure */
  uint16_t seeded_in;  /* the number of the epoch (process.h) that prng is of; 0: none yet */
  uint32_t last_stack; /* of its last sample (ahead.h) */
};

_Static_assert(sizeof(struct thread) <= 64, "one cache line");

extern HIDDEN __thread struct thread this_thread __attribute__((tls_model("initial-exec")));

#endif
