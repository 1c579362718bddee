/* SPDX-License-Identifier: MIT */
/* Entries of functions that are changed, and changed back, while other threads run (core/arch/entry.h: only bytes of
 * first instructions). First all of them are noted; each time they are exchanged as a whole, page by page, which takes
 * no store to memory that somebody executes. A page by itself is right before and after: a function has its hook or has
 * not.
 *
 * Where the kernel accounts for all memory (vm.overcommit_memory=2) it might refuse a page between two steps, so there
 * nothing is changed.
 *
 * Threads: one at a time is here, others may execute what changes. Signals: blocked by the caller. Memory: the changed
 * pages; those of which nothing is hooked any more have the bytes of the file. Fork: a child has what its parent had at
 * that moment. Failure: a reason, and all is as it was.
 */
#ifndef HEAPPROF_RUNNING_H
#define HEAPPROF_RUNNING_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNNING_CHANGE_BYTES_MAX = 8 };

/* `needed`: so many bytes from `at` on must stay as they are, or change with it. False: another one changes or needs
 * some of them, or there are too many. */
HIDDEN bool running_note(const uint8_t *at, const uint8_t *changed, size_t bytes, size_t needed);

/* Those that were noted since then are not wanted. */
struct running_mark {
  size_t count;
};
HIDDEN struct running_mark running_mark(void);
HIDDEN void running_forget(struct running_mark mark);

/* NULL: all that were noted have their hooks, or their own bytes again. */
HIDDEN const char *running_put(bool are_hooked);

#endif
