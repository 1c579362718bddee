/* SPDX-License-Identifier: MIT */
/* Who is reading unwind information: room to work in that is not the application's stack, and the promise that nothing
 * is unmapped meanwhile. No reader ever waits.
 *
 * The pcs of a stack are of loaded code, and nobody unloads what runs. But a pc may be guessed or stale. So a reader
 * says that it is one, in one of a few places; a dlclose says that it is going on, waits until the readers of before
 * are done, and only then unloads: 2,000 pauses and 200 times that it gives up the core, at most, about a millisecond
 * where a core is free. Readers that come meanwhile keep to what is never unloaded:
 * the objects that the program started with. A rule is put into the cache before its reader leaves, and only if nothing
 * was unloaded since it came. A reader that is held up for longer than a dlclose waits, with a guessed pc of just that
 * library, is what remains.
 *
 * Threads: safe. Signals: a reader that was left by siglongjmp loses its place to the next one of its thread. So does
 * one that is interrupted by a handler on an alternate stack above it (lock.h): what lies in the room may get mixed
 * then. Addresses from there are believed only inside of the span that the reader holds on its stack. Fork: readers and
 * unloadings of the parent's other threads are none of the child's. Failure: no place was free.
 */
#ifndef HEAPPROF_CFI_READERS_H
#define HEAPPROF_CFI_READERS_H

#include "core/cfi/cfa_program.h"
#include "core/cfi/expression.h"
#include "core/cfi/object_cache.h"
#include "core/cfi/recipes.h"
#include "core/lock.h"

#include <stdbool.h>

struct reader {
  _Alignas(64) struct lock lock;
  struct object_holder holder;
  uintptr_t table; /* what the entry was looked for in */
  bool is_checked;
  bool is_of_one_use; /* what is found is for this walk alone: the object is not noted (objects.h) */
  struct cfa_machine machine;
  struct arch_leaving leaving;
  struct expression_room room;
  struct frame_rule rule;
  struct recipe_saved saved;
  struct recipe recipe;
  uintptr_t values[ARCH_CFI_SLOTS];
};

/* NULL: there is no place. */
struct reader *readers_enter(void);
void readers_leave(struct reader *reader);

/* Is something being unloaded? To be asked by who has entered. */
bool readers_see_unloading(void);

/* Around the real dlclose. They nest: what is unloaded may unload others. */
void readers_begin_unloading(void);
void readers_end_unloading(void);

/* Waits, boundedly, until those who are reading now are done, but for the caller's thread. */
void readers_wait(void);

#endif
