/* SPDX-License-Identifier: MIT */
/* The entries of .eh_frame: which one speaks of a pc, and what its head says.
 *
 * Threads, signals, fork: safe while the memory stays mapped (readers.h). Stack: under 200 bytes. Time: bounded, by the
 * logarithm of the table, or by the length of .eh_frame where there is none. Failure: false, for what is not there, and
 * for what is not well-formed; nothing outside of the object is ever read.
 */
#ifndef HEAPPROF_CFI_EH_FRAME_H
#define HEAPPROF_CFI_EH_FRAME_H

#include "core/cfi/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Readable memory with all of an .eh_frame: nothing outside is ever read. */
struct eh_frame_span {
  uintptr_t low, high;
};

/* Where an object has its entries, and how they are found. */
struct eh_frame {
  struct eh_frame_span span;
  /* Sorted pairs of int32: where the code begins, and its entry, both counted from `table_base`. This is what linkers
   * write into .eh_frame_hdr; without it we make our own. 0 of them: `start` is read from its beginning. */
  uintptr_t table, table_base, table_count;
  uintptr_t start;
};

/* An entry (FDE) with what it shares (CIE). */
struct eh_frame_entry {
  uintptr_t at;
  uintptr_t shared_at;
  uintptr_t pc_low, pc_high; /* [low, high) is the code that it speaks of */
  struct bytes program, shared_program;
  struct pointer_bases bases; /* of its pointers; set by the caller */
  uint32_t code_alignment;
  int32_t data_alignment;
  uint16_t return_address; /* its column */
  uint8_t encoding;        /* of code addresses */
  bool is_signal;          /* frames that the kernel makes for handlers */
  bool is_sized;           /* there are augmentation data, and their length */
};

/* The same object, loaded `distance` away. A table of our own stays where it is. */
static inline void eh_frame_move(struct eh_frame *frames, uintptr_t distance)
{
  if (frames->table >= frames->span.low && frames->table < frames->span.high)
    frames->table += distance;
  frames->span.low += distance;
  frames->span.high += distance;
  frames->start += distance;
  frames->table_base += distance;
}

/* Where the only entry lies that may speak of the pc, by the table; 0: there is none. */
uintptr_t eh_frame_find(const struct eh_frame *frames, uintptr_t pc);

/* The three parts of eh_frame_read: separate, so that none has another one's frame above it. What a part leaves in
 * *entry need not be trusted by the next. */
enum eh_frame_record { EH_FRAME_END, EH_FRAME_SHARED, EH_FRAME_ENTRY };
enum eh_frame_record eh_frame_open(const struct eh_frame_span *span, uintptr_t *at, struct eh_frame_entry *entry);
bool eh_frame_read_shared(const struct eh_frame_span *span, struct eh_frame_entry *entry);
bool eh_frame_read_own(const struct eh_frame_span *span, struct eh_frame_entry *entry);

/* Reads the record at *at and moves *at behind it; EH_FRAME_SHARED: it is no entry, or not well-formed. */
static inline enum eh_frame_record eh_frame_read(const struct eh_frame_span *span, uintptr_t *at,
                                                 struct eh_frame_entry *entry)
{
  enum eh_frame_record record = eh_frame_open(span, at, entry);
  if (record == EH_FRAME_ENTRY && !(eh_frame_read_shared(span, entry) && eh_frame_read_own(span, entry)))
    record = EH_FRAME_SHARED;
  return record;
}

static inline bool eh_frame_speaks_of(const struct eh_frame_entry *entry, uintptr_t pc)
{
  return pc >= entry->pc_low && pc < entry->pc_high;
}

#endif
