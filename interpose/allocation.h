/* SPDX-License-Identifier: MIT */
/* What a counting hook does around the real function. hooks.h has the protocol.
 *
 * Threads, signals: the calling thread's state only; nothing is held across the real function. errno is what the real
 * function left.
 */
#ifndef HEAPPROF_ALLOCATION_H
#define HEAPPROF_ALLOCATION_H

#include "core/compiler.h"
#include "core/live/live.h"
#include "core/sampler.h"
#include "core/unwind.h"

#include <stdbool.h>
#include <stddef.h>

/* After the real call, for an allocation that was due (sampler_count_down): records it if it is sampled, or takes it
 * back out of the exact count if it failed. */
SAMPLED void allocation_finish(void *pointer, size_t size, const struct sampler_decision *decision,
                               const struct unwind_start *start);

/* The same for hooks that are too rare for a fast path. `is_counted`: COUNTING_HERE (probe.h). */
struct request {
  size_t size;
  bool is_counted;
  bool is_due;
  struct sampler_decision decision;
};

struct request request_begin(size_t size, bool is_counted);
void request_end(const struct request *request, void *pointer, const struct unwind_start *start);

/* A resize, around the real call: the old object leaves the live table first. */
struct resize {
  void *pointer;
  bool was_live;
  struct live_entry entry;
};

SAMPLED struct resize resize_begin(void *pointer);
/* Did realloc give up the old object? A null result means no, except for size 0, which frees where it returns NULL. */
static inline bool resize_has_freed(const void *pointer, size_t size, const void *resized)
{
  return resized != NULL || (pointer != NULL && size == 0);
}

/* `is_freed`: the old object is gone; else it goes back. */
SAMPLED void resize_end(const struct resize *resize, bool is_freed);

#endif
