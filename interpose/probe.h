/* SPDX-License-Identifier: MIT */
/* Where are the requests of a hook counted: by itself, or by the hooks that its real function calls in turn? Asked for
 * once per hook, with a small object (sampler.h); the object is given back by the function that belongs to the one it
 * came from, for allocators check that.
 *
 * What the real functions do inside may come back to the same hook: while a thread asks, its own calls are passed
 * through. Threads: one asks, others wait about a millisecond; then, and whenever the thread that asks was left by an
 * exception or siglongjmp, they pass through uncounted. Signals: a handler's calls are passed through. Fork: likewise
 * in a child.
 */
#ifndef HEAPPROF_PROBE_H
#define HEAPPROF_PROBE_H

#include "core/compiler.h"
#include "core/lock.h"

#include <stdatomic.h>
#include <stdbool.h>

enum counting {
  COUNTING_UNKNOWN,
  COUNTING_HERE,
  COUNTING_INSIDE,
};

struct probe {
  void *(*make)(void); /* with the real function; NULL: it failed */
  void (*release)(void *pointer);
  _Atomic int counting;
  _Atomic bool is_given_up; /* the thread that asks may be gone: nobody waits for it again */
  struct lock lock;
};

enum { PROBE_BYTES = 64 };

/* May answer COUNTING_INSIDE for this time, while `counting` stays unknown. `is_allocators`: the real function comes
 * from the object that provides malloc. */
enum counting probe_ask(struct probe *probe, bool is_allocators);

static inline enum counting probe_answer(struct probe *probe, bool is_allocators)
{
  int known = atomic_load_explicit(&probe->counting, memory_order_relaxed);
  return LIKELY(known != COUNTING_UNKNOWN) ? (enum counting)known : probe_ask(probe, is_allocators);
}

#endif
