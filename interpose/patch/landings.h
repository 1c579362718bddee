/* SPDX-License-Identifier: MIT */
/* Where jumps lead to that end in bytes of the code they were put into (core/arch/entry.h): few addresses, or one,
 * which must be free. Each leads on to a hook.
 *
 * Threads: one at a time. Memory: pages of their own, for good once they are executable. Failure: false.
 */
#ifndef HEAPPROF_LANDINGS_H
#define HEAPPROF_LANDINGS_H

#include "core/arch/entry.h"
#include "core/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum { LANDINGS_MAX = 128 };

struct landing {
  unsigned choice;
  uintptr_t at;
};

/* From here on those of one object, until they are made executable or unmapped. */
HIDDEN void landings_begin(bool is_heap_needed);
HIDDEN bool landings_place(const struct entry *entry, const void *hook, struct landing *landing);
/* Why the last one has no place: what its function does. */
HIDDEN const char *landings_refusal(void);
HIDDEN bool landings_make_executable(void);
HIDDEN void landings_unmap(void);

#endif
