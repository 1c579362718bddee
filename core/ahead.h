/* SPDX-License-Identifier: MIT */
/* Fetches ahead what a sample is about to touch, while it is decided on and while the real function is at work.
 *
 * Between two samples a program runs much other code: what a sample needs is in no cache, nor are the page tables that
 * lead there. One after the other, each line and page would be waited for; asked for at once, they come together. What
 * lies in a row the machine fetches by itself.
 *
 * Threads, signals, fork: any; nothing is read but where things lie, and a wrong guess costs a line.
 */
#ifndef HEAPPROF_AHEAD_H
#define HEAPPROF_AHEAD_H

#include "core/compiler.h"
#include "core/process.h"
#include "core/region.h"
#include "core/thread.h"
#include "core/trail.h"

enum {
  AHEAD_LINE_BYTES = 64,
  AHEAD_WORDS = 384,           /* of the program's stack that rules are fetched for */
  AHEAD_COLD_UNITS = 32 << 10, /* allocated between two samples: the caches are taken to be cold then */
};

static ALWAYS_INLINE void ahead_of_line(const void *from, unsigned line)
{
  __builtin_prefetch((const char *)from + line * AHEAD_LINE_BYTES, 1);
}

static ALWAYS_INLINE void ahead_of_four_lines(const void *from, unsigned line)
{
  ahead_of_line(from, line);
  ahead_of_line(from, line + 1);
  ahead_of_line(from, line + 2);
  ahead_of_line(from, line + 3);
}

/* As a sample is decided on: the last walk of this thread, the totals ... */
static ALWAYS_INLINE void ahead_of_sample(void)
{
  struct region_header *header = region_header();
  __builtin_prefetch(process_token);
  const struct trail *trail = trail_of_thread(); /* its head, and 32 frames */
  ahead_of_four_lines(trail, 0);
  ahead_of_four_lines(trail, 4);
  ahead_of_line(trail, 8);
  if (UNLIKELY(header == NULL))
    return;
  __builtin_prefetch(&header->exact_units, 1);
  __builtin_prefetch(header->halves, 1);
}

/* ... and what is counted of the stack that it was. */
static ALWAYS_INLINE void ahead_of_stack(void)
{
  uint32_t number = this_thread.last_stack;
  if (UNLIKELY(number == 0))
    return;
  const struct region_record *stack = region_at(number);
  ahead_of_four_lines(stack, 0);
  ahead_of_line(stack, 4);
}

#endif
