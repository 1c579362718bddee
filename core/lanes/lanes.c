/* SPDX-License-Identifier: MIT */
#include "core/lanes/lanes.h"

_Atomic bool lanes_met;
_Atomic uint8_t lanes_turn_mask = LANES_TURNS - 1;

/* Who was there last: at any stack, a lane and 1; at each, with the stack above it. Stacks with the same place push
 * each other out. */
enum { NOTES = 128, STACK_SHIFT = 32 };
static _Atomic uint32_t last_lane;
static _Atomic uint64_t notes[NOTES];

static _Atomic uint64_t *note_of(uint32_t stack)
{
  return &notes[stack * 0x9e3779b1u >> 16 & (NOTES - 1)];
}

bool lanes_meet_at(uint32_t stack)
{
  uint32_t lane = lane_of_thread() + 1, last = atomic_exchange_explicit(&last_lane, lane, memory_order_relaxed);
  uint64_t note = (uint64_t)stack << STACK_SHIFT | lane,
           before = atomic_exchange_explicit(note_of(stack), note, memory_order_relaxed);
  if (last != 0 && last != lane) {
    atomic_store_explicit(&lanes_met, true, memory_order_relaxed);
    atomic_store_explicit(&lanes_turn_mask, LANES_TURNS_MET - 1, memory_order_relaxed);
  }
  return before >> STACK_SHIFT == stack && before != note;
}
