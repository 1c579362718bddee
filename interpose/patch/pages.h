/* SPDX-License-Identifier: MIT */
/* Pages of code that get other bytes. A copy of each is changed elsewhere, made executable, and takes the place of the
 * page in one step, so that code is never writable, and a refusal (of SELinux, a seccomp filter, a limit) comes before
 * anything was changed. A processor that executes the page is made to read it anew by the kernel, between two
 * instructions, as its translation goes.
 *
 * Threads: one at a time has such a list; others may execute the pages. Signals: the caller has blocked them. Memory:
 * twice the pages, until they are put; the exchanged ones, for good. Fork: a child has them, too. Failure: a reason.
 */
#ifndef HEAPPROF_PAGES_H
#define HEAPPROF_PAGES_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  PAGES_MAX = 512,
  LOWEST_ADDRESS = 64 << 10, /* of any mapping, as the kernel is mostly set */
};

struct pages {
  uintptr_t at[PAGES_MAX]; /* sorted */
  size_t count, page_bytes;
  uint8_t *copies;          /* changed pages, then the same as they were */
  size_t moved, moved_back; /* of the first, of each kind: what was there may be somebody else's memory by now */
};

/* Those of these bytes, which the list has once. */
HIDDEN void pages_begin(struct pages *pages);
HIDDEN void pages_add(struct pages *pages, const uint8_t *start, size_t bytes);

/* Are they as in the file? Its byte at `file_offset` lies at `start`. */
HIDDEN const char *pages_check_file(const struct pages *pages, const char *file, const uint8_t *start,
                                    uint64_t file_offset);

HIDDEN const char *pages_copy(struct pages *pages);

/* Changes the copies. */
HIDDEN void pages_change(struct pages *pages, const uint8_t *at, const uint8_t *changed, size_t bytes);

HIDDEN const char *pages_make_executable(struct pages *pages);

/* All or none; `are_put`: the new ones are in their places, also if some could be neither put nor put back. */
HIDDEN const char *pages_put(struct pages *pages, bool *are_put);

/* What is left of the copies. */
HIDDEN void pages_end(struct pages *pages);

/* What is mapped there already is never touched. NULL: something is, or nothing can be. To be unmapped. */
HIDDEN void *memory_map_at(uintptr_t address, size_t bytes);
HIDDEN bool memory_make_executable(void *start, size_t bytes);

#endif
