/* SPDX-License-Identifier: MIT */
/* From a pc to the row that speaks of it, in whatever holds it. Between readers_enter and readers_leave.
 *
 * Threads, signals, memory, fork: as objects.h. Stack: under 350 bytes.
 */
#ifndef HEAPPROF_CFI_ENTRIES_H
#define HEAPPROF_CFI_ENTRIES_H

#include "core/cfi/readers.h"

#include <stdbool.h>
#include <stdint.h>

enum entries_found {
  ENTRIES_ROW,       /* in reader->machine.row; its expressions lie inside of *span */
  ENTRIES_NONE,      /* there is no unwind information for it */
  ENTRIES_BROKEN,    /* there is, but nobody can read it */
  ENTRIES_SIGNAL,    /* the pc + 1 is where a signal's handler returns to */
  ENTRIES_OUTERMOST, /* none, and the pc is where a process begins, or pc + 1 where a coroutine's function returns to */
  ENTRIES_KEPT_FRAME, /* none, and the pc is in a call, of code that keeps frame pointers */
  ENTRIES_BUSY,       /* it can't be told now */
};

enum entries_found entries_find_row(uintptr_t pc, struct reader *reader, struct eh_frame_span *span);

/* The code that the entry for the pc speaks of: a function, or a part of one that lies apart. False: there is none, or
 * it can't be told now. */
bool entries_find_function(uintptr_t pc, struct reader *reader, struct address_range *function);

/* The block of an expression of the row. */
static inline struct bytes entries_block(const struct cfi_row *row, int32_t value, const struct eh_frame_span *span)
{
  struct bytes rest = {row->base + (uintptr_t)(intptr_t)value, span->high};
  return bytes_clipped(rest, span->low, span->high);
}

#endif
