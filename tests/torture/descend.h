/* SPDX-License-Identifier: MIT */
/* Allocations from many places: each way down is a place of its own, and the profiler's state grows. */
#ifndef DESCEND_H
#define DESCEND_H

#include "hz_victim.h"

VICTIM void victim_descend(int levels, unsigned way)
{
  if (levels == 0)
    free(shadow_add(malloc(16), 16));
  else if (way & 1)
    victim_descend(levels - 1, way >> 1);
  else
    victim_descend(levels - 1, way >> 1);
  __asm__ volatile("" ::: "memory");
}

/* 2^levels places. */
VICTIM void victim_visit(int levels)
{
  for (unsigned way = 0; way < 1u << levels; way++) {
    victim_descend(levels, way);
    shadow_remove(16);
  }
}

#endif
