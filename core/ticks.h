/* SPDX-License-Identifier: MIT */
/* Times a few of many short events by the time-stamp counter, which reads in 10 ns: too long for each of them.
 *
 * Threads, signals: any.
 */
#ifndef HEAPPROF_TICKS_H
#define HEAPPROF_TICKS_H

#include "core/arch/arch.h"

#include <stdint.h>

static inline uint64_t ticks_now(void)
{
  return arch_ticks();
}

/* 0: it took so long that another thread must have had the core. */
static inline uint64_t ticks_since(uint64_t begin)
{
  enum { PREEMPTED_TICKS = 1 << 20 }; /* nothing we do takes that long */
  uint64_t ticks = ticks_now() - begin;
  return ticks < PREEMPTED_TICKS ? ticks : 0;
}

#endif
