/* SPDX-License-Identifier: MIT */
/* The resident memory of a live profiled process: what the kernel counts, shared out by account.h, and what the
 * allocator has of it by what was sampled.
 */
#ifndef HEAPPROF_RESIDENT_MEMORY_H
#define HEAPPROF_RESIDENT_MEMORY_H

#include "tools/resident/account.h"
#include "tools/state/targets.h"

struct resident_memory {
  struct account_sums sums;
  uint64_t most_bytes; /* VmHWM */
  /* These three are sums.bytes[ACCOUNT_ALLOCATOR]. The first two are estimates, as far as they are resident. */
  uint64_t in_use_bytes, rounding_bytes, allocator_bytes;
  uint64_t absent_bytes; /* asked for or rounding, and not resident: never written to, or swapped out */
  GArray *mappings;      /* struct smaps_mapping */
  GArray *parts;         /* enum account_part, of each */
  GHashTable *by_stack;  /* resident bytes of what the program mapped itself (target_read_resident) */
};

/* NULL and *error: it has ended, or is not for us to look at. */
struct resident_memory *resident_memory_of(const struct target *target, GError **error);
void resident_memory_free(struct resident_memory *memory);

#endif
