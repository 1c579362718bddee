/* SPDX-License-Identifier: MIT */
/* Sorted addresses. */
#ifndef HEAPPROF_SORTED_H
#define HEAPPROF_SORTED_H

#include <stdint.h>

/* The first that is not below `address`; `count` if all are. */
static inline uint32_t sorted_lower_bound(const uint64_t *addresses, uint32_t count, uint64_t address)
{
  uint32_t low = 0, high = count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (addresses[middle] < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

#endif
