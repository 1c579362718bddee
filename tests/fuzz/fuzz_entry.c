/* SPDX-License-Identifier: MIT */
/* Code that is any bytes: nothing outside of it is read, and what would be changed of a function lies within it,
 * or behind it where no other begins. */
#include "core/arch/entry.h"
#include "core/arch/instruction.h"

#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_instructions(const uint8_t *code, size_t size)
{
  struct instruction instruction;
  for (size_t at = 0; at < size && instruction_read(code + at, size - at, &instruction); at += instruction.bytes) {
    MUST(instruction.bytes > 0 && instruction.bytes <= size - at && instruction.bytes <= 15);
    MUST(instruction.distance_at + instruction.distance_bytes <= instruction.bytes);
  }
}

static void check_entry(const uint8_t *code, size_t size, size_t start, size_t bytes)
{
  struct entry_text text = {.code = code, .bytes = size};
  struct entry entry;
  uint8_t room[ENTRY_ROOM_BYTES], changed[ENTRY_CHANGED_MAX];
  if (entry_read(&entry, &text, code + start, bytes) != NULL)
    return;
  MUST(start + entry.changed_at + entry.changed_bytes <= size && entry.changed_bytes >= 5);
  enum { ALIGNMENT = 16 }; /* what is behind the function, up to where another may begin, may be padding */
  MUST((size_t)entry.changed_at + entry.changed_bytes <= (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
  MUST(entry.changed_bytes <= ENTRY_CHANGED_MAX);
  (void)entry_move(&entry, code, room, (uintptr_t)code + 4096, changed);
}

/* Where other threads run, nothing behind the first instruction changes. */
static void check_first(const uint8_t *code, size_t size, size_t start, size_t bytes)
{
  struct entry_text text = {.code = code, .bytes = size};
  struct entry entry;
  struct entry_landing range;
  uint8_t room[ENTRY_ROOM_BYTES], changed[ENTRY_CHANGED_MAX];
  if (entry_read_first(&entry, &text, code + start, bytes) != NULL)
    return;
  MUST(entry.changed_bytes > 0 && entry.changed_bytes <= entry.moved_bytes);
  MUST(start + entry.changed_at + entry.moved_bytes <= size && (size_t)entry.changed_at + entry.moved_bytes <= bytes);
  for (unsigned choice = 0; entry_needs_landing(&entry) && entry_landing(&entry, choice, &range); choice++)
    (void)entry_move_first(&entry, code, room, (uintptr_t)code + 4096, choice, range.lowest, changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  uint8_t *code = g_memdup2(data, size);
  check_instructions(code, size);
  if (size > 2)
    check_entry(code, size, data[0] % size, data[1] % size);
  if (size > 2)
    check_first(code, size, data[0] % size, data[1] % size);
  check_entry(code, size, 0, size);
  check_first(code, size, 0, size);
  g_free(code);
  return 0;
}
