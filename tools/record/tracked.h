/* SPDX-License-Identifier: MIT */
/* A process that is being recorded: which of its stacks the file has, and what they had at the moment before.
 *
 * Memory: freed by tracked_free. Failure: false and *error; then it is of no use any more, and what the transaction did
 * must be rolled back.
 */
#ifndef HEAPPROF_TRACKED_H
#define HEAPPROF_TRACKED_H

#include "tools/record/chain.h"
#include "tools/record/process_row.h"

struct tracked {
  int64_t process;
  struct heap *known;    /* all stacks so far, without values */
  struct values *values; /* of the last moment */
  struct chain chain;
  struct part_start saved; /* what of the known is in the file */
  GTree *places;           /* struct place *, of the locations of the known */
  GHashTable *stacks;      /* struct digest *, of stacks as they are read and as they are stored -> stack + 1 */
};

/* Gives names to the locations of a heap, and takes off the inner frames that nobody wants to see. */
typedef void tracked_name(struct heap *heap, void *data);

/* A process that the file has, as it was left; or one that is new, whose heap this is. */
struct tracked *tracked_load(struct store *store, int64_t process, const struct texts *texts, GError **error);
void tracked_free(struct tracked *tracked);

/* Stores a moment: the heap as it was read, with its time, and what of the process was in memory (0: not known). The
 * heap is of no further use. */
bool tracked_put(struct tracked *tracked, struct store *store, struct texts *texts, struct heap *heap,
                 int64_t resident_bytes, tracked_name *name, void *data, GError **error);

#endif
