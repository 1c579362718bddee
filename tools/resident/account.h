/* SPDX-License-Identifier: MIT */
/* Shares the resident bytes of mappings among what they are for. The parts add up to what the kernel counts, whatever
 * is known of the mappings: what is known wrong is in the wrong part, never twice or nowhere.
 *
 * A mapping is one thing, by its name and by addresses that were seen in it; ranges that are known to be another thing
 * are taken out of it, page by page: the kernel makes one mapping of anonymous neighbours, whoever asked for them. */
#ifndef HEAPPROF_ACCOUNT_H
#define HEAPPROF_ACCOUNT_H

#include "tools/resident/smaps.h"

#include <stdbool.h>

enum account_part {
  ACCOUNT_ALLOCATOR,
  ACCOUNT_STACKS,
  ACCOUNT_FILES,
  ACCOUNT_DIRECT, /* anonymous, and none of the others */
  ACCOUNT_SHARED, /* memory that has a name, and that other processes may have, too */
  ACCOUNT_OWN,    /* of the profiler */
  ACCOUNT_PARTS,
};

/* Something that is known to be a part, in [start, limit). */
struct account_range {
  uint64_t start, limit;
  enum account_part part;
  uint64_t stack;          /* whose it is, as state files number stacks; 0: nobody's */
  uint64_t resident_bytes; /* that the part got of it */
};

struct account_clues {
  const uint64_t *seen; /* addresses that the allocator gave out; 0: none */
  size_t seen_count;
  const char *allocator; /* path of the object that provides malloc */
  GArray *thread_tops;   /* uint64_t: thread_stacks.h */
  GArray *ranges;        /* struct account_range, whose resident_bytes begin as 0 */
  /* Resident bytes between two addresses (page_map.h). */
  uint64_t (*resident)(const void *of, uint64_t start, uint64_t limit);
  const void *of;
};

struct account_sums {
  uint64_t bytes[ACCOUNT_PARTS];
  uint64_t total_bytes, swapped_bytes;
};

/* `parts` (may be NULL) gets enum account_part of each mapping: of what is left of it. */
void account(const GArray *mappings, const struct account_clues *clues, struct account_sums *sums,
             enum account_part *parts);

#endif
