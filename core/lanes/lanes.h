/* SPDX-License-Identifier: MIT */
/* Threads by a small number, their lane. In exact mode every allocation writes what threads share, and two that do the
 * same at one place would wait for each other's cache lines most of the time. Once threads were seen to do that, those
 * of different lanes write apart: the tallies of a stack (own_stacks.h), and what is freed (spares.h).
 *
 * Threads, signals: lock-free. A lane may have several threads, which then share what is the lane's. Fork: a child goes
 * on with its parent's lanes; it finds what it counts apart as its parent left it.
 */
#ifndef HEAPPROF_LANES_H
#define HEAPPROF_LANES_H

#include "core/compiler.h"
#include "core/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LANES = 32, LANE_LINE_BYTES = 64 };

static ALWAYS_INLINE unsigned lane_of_thread(void)
{
  return (unsigned)(lock_thread_identity() * 0x9e3779b97f4a7c15u >> 32) & (LANES - 1);
}

extern HIDDEN _Atomic bool lanes_met;

/* Never in a process with one thread, nor where samples are rare. */
static ALWAYS_INLINE bool lanes_have_met(void)
{
  return UNLIKELY(atomic_load_explicit(&lanes_met, memory_order_relaxed));
}

/* Of what is done in turns and adds to what threads share, all but one in so many are left out; this is one less. */
enum { LANES_TURNS = 8, LANES_TURNS_MET = 64 };
extern HIDDEN _Atomic uint8_t lanes_turn_mask;

/* From time to time, by who has counted something at this stack. True: a thread of another lane did the same last. */
bool lanes_meet_at(uint32_t stack);

#endif
