/* SPDX-License-Identifier: MIT */
/* What the program maps past malloc: who asked for the memory that is neither the allocator's nor a file's.
 *
 * Whole pages of anonymous memory, private or shared. A part that is unmapped leaves the rest; what is mapped over
 * something takes its place; what is moved or grows belongs to who did that, as with realloc. Memory that was asked for
 * without access to it is marked: a reservation, not memory in use.
 *
 * Called after the kernel has done it. Threads, signals: safe, nothing is held. Fork: a child makes its region when it
 * maps something. errno is kept. Failure: the range is not known, and a loss is counted.
 */
#ifndef HEAPPROF_MAPPINGS_H
#define HEAPPROF_MAPPINGS_H

#include "core/compiler.h"
#include "core/mappings/mapping_table.h"
#include "core/unwind.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern HIDDEN _Atomic bool mappings_are_seen;

/* From the constructor, when all else is ready. */
void mappings_init(void);

/* Before what unmaps or moves. */
static inline uint64_t mappings_begin(void)
{
  return mapping_table_event();
}

enum mapping_kind {
  MAPPING_OF_OTHERS, /* a file, or the allocator's: whatever was there is gone */
  MAPPING_USABLE,
  MAPPING_RESERVED, /* without access */
};

void mappings_note(uintptr_t start, uint64_t bytes, enum mapping_kind kind, const struct unwind_start *from);

void mappings_forget(uintptr_t start, uint64_t bytes, uint64_t begun);

/* The end of the heap was moved by sbrk, which need not be at the end of a page: up, and down. */
void mappings_note_end(uintptr_t before, uintptr_t now, enum mapping_kind kind, const struct unwind_start *from);
void mappings_forget_end(uintptr_t before, uintptr_t now, uint64_t begun);

struct mapping_move {
  uintptr_t old, new;
  uint64_t old_bytes, new_bytes;
  bool stays; /* where it was, too */
};

/* Of what `old` lies in. */
void mappings_move(const struct mapping_move *move, uint64_t begun, const struct unwind_start *from);

#endif
