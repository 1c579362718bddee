/* SPDX-License-Identifier: MIT */
/* What stacks of one process are known by, from one moment to the next: the place of their record in its state file,
 * which they never leave; in a heap without places a digest of addresses and labels, so that whoever chose those
 * cannot make two stacks one.
 *
 * Memory: keys are the caller's. Failure: none.
 */
#ifndef HEAPPROF_STACK_KEYS_H
#define HEAPPROF_STACK_KEYS_H

#include "tools/heap/heap.h"

enum { STACK_KEY_BYTES = 16 };

struct stack_key {
  uint8_t bytes[STACK_KEY_BYTES];
};

/* Of one sample. All keys are of the heap as it was read: what gives names may take frames off. Each may be a digest,
 * so they are made once. */
struct stack_key stack_key_of(const struct heap *heap, uint32_t sample);

/* By sample. */
GArray *stack_keys_of(const struct heap *heap);

/* For tables whose keys begin with a stack_key. */
guint stack_key_hash(gconstpointer key);
gboolean stack_key_equal(gconstpointer a, gconstpointer b);

#endif
