/* SPDX-License-Identifier: MIT */
/* Entries are changed on x86-64 alone: no function is read here, so none is changed. */
#include "core/arch/entry.h"

const char *entry_read(struct entry *entry, const struct entry_text *text, const uint8_t *function, size_t bytes)
{
  (void)entry, (void)text, (void)function, (void)bytes;
  return "no entry can be changed on this machine";
}

bool entry_goes_to(const struct entry_text *text, const uint8_t *function, size_t bytes, const uint8_t *other)
{
  (void)text, (void)function, (void)bytes, (void)other;
  return false;
}

bool entry_move(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES], uintptr_t room_address,
                uint8_t changed[ENTRY_CHANGED_MAX])
{
  (void)entry, (void)hook, (void)room, (void)room_address, (void)changed;
  return false;
}

const char *entry_read_first(struct entry *entry, const struct entry_text *text, const uint8_t *function, size_t bytes)
{
  return entry_read(entry, text, function, bytes);
}

bool entry_needs_landing(const struct entry *entry)
{
  (void)entry;
  return false;
}

bool entry_landing(const struct entry *entry, unsigned choice, struct entry_landing *landing)
{
  (void)entry, (void)choice, (void)landing;
  return false;
}

void entry_put_landing(uint8_t bytes[ENTRY_LANDING_BYTES], const void *hook)
{
  (void)bytes, (void)hook;
}

bool entry_move_first(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES],
                      uintptr_t room_address, unsigned choice, uintptr_t landing, uint8_t changed[ENTRY_CHANGED_MAX])
{
  (void)choice, (void)landing;
  return entry_move(entry, hook, room, room_address, changed);
}
