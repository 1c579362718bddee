/* SPDX-License-Identifier: MIT */
#include "core/cfi/entries.h"

#include "core/arch/arch.h"
#include "core/cfi/cfa_program.h"
#include "core/cfi/leaving.h"
#include "core/cfi/objects.h"
#include "core/cfi/registered.h"
#include "core/loader/loaded.h"
#include "core/sys.h"

#include <string.h>

static bool is_signal_return(const struct cfi_object *object, uintptr_t return_address)
{
  static const uint8_t code[] = ARCH_SIGNAL_RETURN_CODE;
  return object_code_holds(object, return_address, sizeof code) &&
         memcmp((const void *)return_address, code, sizeof code) == 0;
}

/* The same where no object is. */
static bool is_kernels_signal_return(uintptr_t return_address)
{
  static const uint8_t code[] = ARCH_SIGNAL_RETURN_CODE;
  return ARCH_SIGNAL_RETURN_IS_KERNELS && return_address % sizeof(uint64_t) == 0 && sys_is_readable(return_address) &&
         memcmp((const void *)return_address, code, sizeof code) == 0;
}

/* Each of the steps has the stack to itself: what the one before needed is gone. */

enum entry_found {
  ENTRY_AT,     /* it lies at entry.at, if there is one */
  ENTRY_LISTED, /* the first one lies at entry.at */
  ENTRY_SIGNAL,
  ENTRY_NONE, /* nor is there an object */
  ENTRY_BUSY, /* the object may be unloaded, or is not known now */
};

enum way { BY_TABLE, BY_NEW_TABLE, ONE_BY_ONE, NO_WAY };

/* What an object is asked for, and the answer. */
struct search {
  struct objects_question question; /* first */
  struct reader *reader;
  struct eh_frame_span *span;
  enum way way : 8;
  enum entry_found found : 8;
  enum entries_found entries : 8;
};

static ALWAYS_INLINE void search_object(struct search *search)
{
  objects_answer(&search->question);
  if (UNLIKELY(search->question.learned == OBJECTS_SEEN))
    search->reader->is_of_one_use = true;
}

static void find_entry_in(const struct cfi_object *object, struct objects_question *question)
{
  struct search *search = (struct search *)question;
  struct cfa_machine *machine = &search->reader->machine;
  if ((object->flags & CFI_OBJECT_PERMANENT) == 0 && readers_see_unloading())
    return;
  if (is_signal_return(object, search->question.pc + 1)) {
    search->found = ENTRY_SIGNAL;
    return;
  }
  *search->span = object->frames.span;
  bool has_table = search->way != ONE_BY_ONE && object->frames.table_count > 0;
  search->reader->table = object->frames.table;
  search->reader->is_checked = (object->flags & CFI_OBJECT_CHECKED) != 0;
  machine->entry.at = has_table ? eh_frame_find(&object->frames, search->question.pc) : object->frames.start;
  machine->entry.bases = (struct pointer_bases){0, 0, 0};
  search->found = has_table ? ENTRY_AT : ENTRY_LISTED;
}

static NOINLINE enum entry_found find_entry(uintptr_t pc, struct reader *reader, struct eh_frame_span *span,
                                            enum way way)
{
  struct search search = {.question = {.holder = &reader->holder, .pc = pc, .use = find_entry_in},
                          .reader = reader,
                          .span = span,
                          .way = way,
                          .found = ENTRY_BUSY};
  search_object(&search);
  return search.question.learned == OBJECTS_NONE ? ENTRY_NONE : search.found;
}

/* glibc's makecontext, Boost.Context and Go put that address there without a call, and what lies before it has no
 * unwind information. */
static bool is_end_of_context(const struct cfi_object *object, uintptr_t return_address)
{
  return object_code_holds(object, return_address - 1, 1 + ARCH_CONTEXT_END_BYTES) &&
         arch_ends_context((const uint8_t *)return_address);
}

/* The code of ld.so and of musl has no unwind information there, and is short. */
static bool is_beginning(const struct cfi_object *object, uintptr_t pc)
{
  enum { BEGINNING_BYTES = 64 };
  return object->entry != 0 && pc - object->entry < BEGINNING_BYTES;
}

static bool is_kept_frame(const struct cfi_object *object, uintptr_t return_address)
{
  return (object->flags & CFI_OBJECT_KEEPS_FRAMES) != 0 &&
         object_code_holds(object, return_address - ARCH_CALL_BYTES_MAX, ARCH_CALL_BYTES_MAX) &&
         arch_is_behind_call((const uint8_t *)return_address);
}

static enum entries_found look_at_code_in(const struct cfi_object *object, uintptr_t pc, struct reader *reader)
{
  if (is_end_of_context(object, pc + 1) || is_beginning(object, pc) || leaving_is_outermost(object, pc + 1))
    return ENTRIES_OUTERMOST;
  if (leaving_find_row(object, pc + 1, &reader->leaving, &reader->machine.row))
    return ENTRIES_ROW;
  return is_kept_frame(object, pc + 1) ? ENTRIES_KEPT_FRAME : ENTRIES_NONE;
}

static void look_at_its_code(const struct cfi_object *object, struct objects_question *question)
{
  struct search *search = (struct search *)question;
  search->entries = look_at_code_in(object, search->question.pc, search->reader);
}

static NOINLINE enum entries_found look_at_code(uintptr_t pc, struct reader *reader)
{
  struct search search = {.question = {.holder = &reader->holder, .pc = pc, .use = look_at_its_code},
                          .reader = reader,
                          .entries = ENTRIES_BUSY};
  search_object(&search);
  return search.entries;
}

/* From entry.at on, one by one if it is only the first. */
static bool read_entry(uintptr_t pc, struct reader *reader, const struct eh_frame_span *span, bool is_listed)
{
  struct eh_frame_entry *entry = &reader->machine.entry;
  uintptr_t at = entry->at;
  enum eh_frame_record record;
  do {
    record = eh_frame_read(span, &at, entry);
    if (record == EH_FRAME_ENTRY && eh_frame_speaks_of(entry, pc))
      return true;
  } while (is_listed && record != EH_FRAME_END);
  return false;
}

/* Code that the program made. */
static enum entries_found find_registered(uintptr_t pc, struct reader *reader, struct eh_frame_span *span)
{
  unsigned position = 0;
  while (registered_next(pc, &position, span)) {
    reader->machine.entry.at = span->low;
    reader->machine.entry.bases = (struct pointer_bases){0, 0, 0};
    if (read_entry(pc, reader, span, true))
      return cfa_program_run(span, pc, &reader->machine) ? ENTRIES_ROW : ENTRIES_BROKEN;
  }
  return is_kernels_signal_return(pc + 1) ? ENTRIES_SIGNAL : ENTRIES_NONE;
}

/* Nothing was found by the table. */
static NOINLINE enum way next_way(uintptr_t pc, const struct reader *reader, enum way way)
{
  enum objects_table table = reader->is_checked ? OBJECTS_TABLE_IS_RIGHT : objects_check_table(pc, reader->table);
  if (table == OBJECTS_TABLE_IS_NEW && way == BY_TABLE)
    return BY_NEW_TABLE;
  return table == OBJECTS_TABLE_UNKNOWN ? ONE_BY_ONE : NO_WAY;
}

static enum entries_found find_in_object(uintptr_t pc, struct reader *reader, struct eh_frame_span *span)
{
  enum way way = BY_TABLE;
  do {
    enum entry_found found = find_entry(pc, reader, span, way);
    if (found == ENTRY_SIGNAL)
      return ENTRIES_SIGNAL;
    if (found == ENTRY_NONE)
      return ENTRIES_NONE;
    if (found == ENTRY_BUSY)
      return ENTRIES_BUSY;
    if (read_entry(pc, reader, span, found == ENTRY_LISTED))
      return cfa_program_run(span, pc, &reader->machine) ? ENTRIES_ROW : ENTRIES_BROKEN;
    way = found == ENTRY_LISTED ? NO_WAY : next_way(pc, reader, way);
  } while (UNLIKELY(way != NO_WAY));
  return look_at_code(pc, reader);
}

enum entries_found entries_find_row(uintptr_t pc, struct reader *reader, struct eh_frame_span *span)
{
  reader->is_of_one_use = false;
  if (!objects_ask_loader(pc, &reader->holder))
    return loaded_are_changing() ? ENTRIES_BUSY : find_registered(pc, reader, span);
  return find_in_object(pc, reader, span);
}

bool entries_find_function(uintptr_t pc, struct reader *reader, struct address_range *function)
{
  struct eh_frame_span span;
  if (!objects_ask_loader(pc, &reader->holder))
    return false;
  enum entry_found found = find_entry(pc, reader, &span, BY_TABLE);
  if ((found != ENTRY_AT && found != ENTRY_LISTED) || !read_entry(pc, reader, &span, found == ENTRY_LISTED))
    return false;
  *function = (struct address_range){reader->machine.entry.pc_low, reader->machine.entry.pc_high};
  return true;
}
