/* SPDX-License-Identifier: MIT */
/* Where in its code a thread stands, and whether it may be led away from there to open a library: that takes locks of
 * the loader and of the allocator, so no frame of the thread may lie in either, as the thread may hold what it would
 * wait for. Frames in libc are allowed of functions that wait, and hold nothing while they do, and of what only these
 * go on in (last_calls.h).
 *
 * Stacks are unwound by libdw, from the files of the process, which are opened before anything stands still. A stack
 * that cannot be followed to its end is one that nobody knows.
 */
#ifndef HEAPPROF_ATTACH_PLACES_H
#define HEAPPROF_ATTACH_PLACES_H

#include "tools/attach/allocator_code.h"
#include "tools/attach/image.h"

#include <sys/types.h>

struct places;

struct places_images {
  const struct image *libc, *loader;
  const GPtrArray *allocators;          /* struct image *, besides libc */
  const struct allocator_code *program; /* what the executable has of one; NULL: nothing */
  uint64_t signal_return;               /* where handlers return to */
};

/* The memory and the images must live as long. NULL and *error. */
struct places *places_open(const struct memory *memory, const struct places_images *images, GError **error);
void places_close(struct places *places);

/* NULL: the thread, which stands still in system call `call` (-1: in none), may be led away. Else why not, until the
 * next call. */
const char *places_why_not(struct places *places, pid_t thread, long call);

/* The same of where it was before handlers of signals interrupted it, should it be in one; NULL also: it is in none. */
const char *places_why_not_interrupted(struct places *places, pid_t thread);

#endif
