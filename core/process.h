/* SPDX-License-Identifier: MIT */
/* Is this process the one whose region is mapped, and how many forks lie before it? (hazards P1, P2, U3)
 *
 * A page that the kernel wipes on fork (MADV_WIPEONFORK) tells a forked child, raw clone() included, from a vfork
 * child, which shares its parent's memory and is its parent as far as the heap goes. How a forked child settles, with a
 * region of its own: settle.h.
 *
 * The epoch moves in a forked child before anything there may be kept for later: what a module marked with the epoch it
 * was written in is known to be the parent's when the epoch is another, a lock that a thread held which does not exist
 * here, a count that begins anew, a stream of random numbers. No module need be told.
 *
 * Threads, signals: safe. Fork: process_was_forked is for the handler; where none runs, the wiped page says it.
 */
#ifndef HEAPPROF_PROCESS_H
#define HEAPPROF_PROCESS_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 1 in the process whose region is mapped, 0 in a forked child. */
extern HIDDEN _Atomic uint64_t *process_token;

static ALWAYS_INLINE bool process_is_settled(void)
{
  return LIKELY(atomic_load_explicit(process_token, memory_order_acquire) != 0);
}

/* A number from 1 on in the uppermost 16 bits, where addresses and counts have none; the other bits are 0. */
enum { PROCESS_EPOCH_SHIFT = 48 };
#define PROCESS_EPOCH_FIRST (1ull << PROCESS_EPOCH_SHIFT)

extern HIDDEN _Atomic uint64_t process_current_epoch;

static ALWAYS_INLINE uint64_t process_epoch(void)
{
  return atomic_load_explicit(&process_current_epoch, memory_order_relaxed);
}

/* Was this word, which has an epoch in its uppermost bits, written in this process? */
static ALWAYS_INLINE bool process_is_of_now(uint64_t word)
{
  return (word ^ process_epoch()) >> PROCESS_EPOCH_SHIFT == 0;
}

/* From the constructor, before sampling starts. False: no memory. */
bool process_init(void);

/* In a forked child: by the handler of pthread_atfork, ... */
void process_was_forked(void);

/* ... and by who settles it: before, which starts the epoch if no handler did, and after. */
void process_begin_epoch(void);
void process_set_settled(void);

#endif
