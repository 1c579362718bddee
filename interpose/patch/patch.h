/* SPDX-License-Identifier: MIT */
/* Functions of one loaded object whose callers come to hooks from now on, by way of their entries (core/arch/entry.h).
 *
 * All of them or none (pages.h). Should a later step fail, pages that are as before take their places again.
 *
 * Threads: the process has only one, or it is refused; but for patch_prepare. Signals: the caller has blocked them.
 * Memory: a room near the object, as long as the process lives, and the changed pages. Fork: a child has them, too.
 * Failure: a reason.
 */
#ifndef HEAPPROF_PATCH_H
#define HEAPPROF_PATCH_H

#include "core/compiler.h"
#include "interpose/object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct patch {
  const char *prefix; /* of the symbol; NULL: none */
  const char *symbol;
  const uint8_t *function;
  size_t bytes;
  const void *hook;
  const void *whole; /* takes its place where the function goes through another one of them; NULL: it need not */
  void *original;    /* out: calls the function as it was */
  void **real;       /* set to that before the hook is called; NULL: nowhere */
};

enum { PATCHES_MAX = 128 };

/* `file`: what the code must be the same as, lest somebody else has changed it and will change it back (a probe of the
 * kernel's, a debugger); NULL: it is not asked. Two symbols of one function get the hook of the first. `is_in_force`:
 * some of the hooks are called, also if others could be neither set nor taken back.
 *
 * NULL: done. The reason may name a function, and lies in a buffer that the next call uses again. */
HIDDEN const char *patch_install(const struct object *object, const char *file, struct patch *patches, size_t count,
                                 bool *is_in_force);

/* In a process that has been running: makes all ready, and notes what is to change, while nothing does (running.h).
 * `is_heap_needed`: nothing may lie where the heap can grow to. */
HIDDEN const char *patch_prepare(const struct object *object, const char *file, struct patch *patches, size_t count,
                                 bool is_heap_needed);

#endif
