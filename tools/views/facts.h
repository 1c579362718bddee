/* SPDX-License-Identifier: MIT */
/* What a profile says about itself: totals and how certain they are, what was lost, what the profiler cost, which files
 * the code came from.
 *
 * Memory: facts refer to the heap, which must live longer.
 */
#ifndef HEAPPROF_FACTS_H
#define HEAPPROF_FACTS_H

#include "tools/heap/heap.h"
#include "tools/views/cut_share.h"

struct fact_total {
  const char *type, *unit;
  double value;
  bool is_certainty_known;
  double variance;
  struct cut_share cut;
};

/* Samples, or parts of stacks, lost for one reason. */
struct fact_loss {
  const char *key, *what; /* what: "" for a reason that this version does not know */
  uint64_t count;
};

/* A mapping and its locations. */
struct fact_mapping {
  const struct heap_mapping *mapping;
  uint32_t locations, named, with_lines, with_inlines;
};

/* Numbers are 0 where the profile does not tell; texts belong to the heap. */
struct facts {
  const struct heap *heap;
  struct fact_total totals[HEAP_TYPES_MAX];
  GArray *losses;       /* struct fact_loss, also those of 0; without the total */
  GArray *mappings;     /* struct fact_mapping */
  uint64_t samples;     /* recorded allocations */
  uint32_t deepest;     /* frames of the deepest stack, inlined ones not counted */
  bool has_exact_units; /* bytes allocated, plus one for each allocation */
  uint64_t exact_units, estimated_units;
  bool has_exact_parts; /* every allocation was recorded: the two can be told apart */
  uint64_t exact_bytes, exact_objects;
  double units_error; /* standard error of the estimate, at most; negative: unknown */
  uint64_t own_bytes, sampling_ns, cpu_ns;
  uint64_t own_unused_bytes;                    /* reserved, and nothing is there yet; 0 where that is not told */
  uint64_t resident_bytes, resident_most_bytes; /* of the process, in memory: when it was taken, and at most */
  int64_t created_unix_ns;
  int64_t running_ns; /* from the start to when the profile was taken */
  GPtrArray *texts;   /* that belong to the facts */
};

struct facts *facts_of(const struct heap *heap);
void facts_free(struct facts *facts);

/* Every value of a comment: a merged profile may have several. const char *, of the heap. */
GPtrArray *facts_comments(const struct heap *heap, const char *key);

/* Are these profiles of the same process, the first taken earlier? */
bool facts_same_process(const struct heap *old, const struct heap *new);

#endif
