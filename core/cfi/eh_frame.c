/* SPDX-License-Identifier: MIT */
#include "core/cfi/eh_frame.h"

/* The length that says that the real one follows, in 64 bits. */
enum { EXTENDED_LENGTH = UINT32_MAX, POINTER_BYTES = 8 };

/* A record: what follows its length. Empty: the end of .eh_frame, or nothing that can be read. */
static struct bytes open_record(const struct eh_frame_span *span, uintptr_t at)
{
  if (at < span->low || at >= span->high)
    return (struct bytes){0, 0};
  struct bytes record = {at, span->high};
  uint64_t length = bytes_u32(&record);
  if (length == (uint32_t)EXTENDED_LENGTH)
    length = bytes_u64(&record);
  if (length == 0 || length > record.end - record.at)
    return (struct bytes){0, 0};
  record.end = record.at + length;
  return record;
}

static uint8_t byte_at(uintptr_t address)
{
  return *(const uint8_t *)address;
}

/* The data that the letters behind z stand for. False: a letter that nobody has told us of; what follows is skipped. */
static bool read_augmentation(struct bytes *data, uint8_t letter, struct eh_frame_entry *entry)
{
  switch (letter) {
  case 'R': entry->encoding = bytes_u8(data); return true;
  case 'L': (void)bytes_u8(data); return true;
  case 'P': bytes_skip_pointer(data, bytes_u8(data)); return true;
  case 'S': entry->is_signal = true; return true;
  case 'B':              /* signed with the other key */
  case 'G': return true; /* memory tagging */
  default: return false;
  }
}

bool eh_frame_read_shared(const struct eh_frame_span *span, struct eh_frame_entry *entry)
{
  struct bytes shared = open_record(span, entry->shared_at);
  uint32_t id = bytes_u32(&shared);
  uint8_t version = bytes_u8(&shared);
  if (id != 0 || !(version == 1 || version == 3 || version == 4))
    return false;
  uintptr_t letters = shared.at;
  while (bytes_u8(&shared) != 0)
    ;
  if (!bytes_are_good(&shared))
    return false;
  if (byte_at(letters) == 'e' && byte_at(letters + 1) == 'h') { /* of gcc 2: a pointer to its own tables */
    (void)bytes_take(&shared, POINTER_BYTES);
    letters += 2;
  }
  if (version == 4 && (bytes_u8(&shared) != POINTER_BYTES || bytes_u8(&shared) != 0)) /* address, segment selector */
    return false;
  uint64_t code_alignment = bytes_uleb(&shared);
  int64_t data_alignment = bytes_sleb(&shared);
  uint64_t return_address = version == 1 ? bytes_u8(&shared) : bytes_uleb(&shared);
  if (code_alignment > INT16_MAX || data_alignment < INT16_MIN || data_alignment > INT16_MAX ||
      return_address > UINT16_MAX)
    return false;
  entry->code_alignment = (uint32_t)code_alignment;
  entry->data_alignment = (int32_t)data_alignment;
  entry->return_address = (uint16_t)return_address;
  entry->encoding = 0;
  entry->is_signal = false;
  entry->is_sized = byte_at(letters) == 'z';
  if (entry->is_sized) {
    uint64_t size = bytes_uleb(&shared);
    struct bytes data = {.at = bytes_take(&shared, size)};
    data.end = shared.at;
    while (byte_at(++letters) != 0 && read_augmentation(&data, byte_at(letters), entry))
      ;
    if (!bytes_are_good(&data))
      return false;
  } else if (byte_at(letters) != 0) {
    return false;
  }
  entry->shared_program = shared;
  return bytes_are_good(&shared);
}

enum eh_frame_record eh_frame_open(const struct eh_frame_span *span, uintptr_t *at, struct eh_frame_entry *entry)
{
  struct bytes record = open_record(span, *at);
  uintptr_t id_at = record.at;
  uint32_t id = bytes_u32(&record);
  if (!bytes_are_good(&record))
    return EH_FRAME_END;
  entry->at = *at;
  entry->shared_at = id_at - id;
  entry->program = record;
  *at = record.end;
  return id != 0 ? EH_FRAME_ENTRY : EH_FRAME_SHARED;
}

bool eh_frame_read_own(const struct eh_frame_span *span, struct eh_frame_entry *entry)
{
  struct bytes own = bytes_clipped(entry->program, span->low, span->high);
  entry->pc_low = bytes_pointer(&own, entry->encoding, &entry->bases, span->low, span->high);
  entry->pc_high = entry->pc_low + bytes_pointer(&own, entry->encoding & POINTER_FORMAT_MASK, &entry->bases, 0, 0);
  if (entry->is_sized)
    (void)bytes_take(&own, bytes_uleb(&own));
  entry->program = own;
  return bytes_are_good(&own) && entry->pc_high >= entry->pc_low;
}

/* Where the nth pair says that code begins, or that its entry lies. */
static uintptr_t table_word(const struct eh_frame *frames, uintptr_t n, unsigned half)
{
  int32_t offset;
  __builtin_memcpy(&offset, (const void *)(frames->table + (2 * n + half) * sizeof offset), sizeof offset);
  return frames->table_base + (uintptr_t)(intptr_t)offset;
}

uintptr_t eh_frame_find(const struct eh_frame *frames, uintptr_t pc)
{
  uintptr_t low = 0, high = frames->table_count;
  while (low < high) {
    uintptr_t middle = low + (high - low) / 2;
    if (table_word(frames, middle, 0) <= pc)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 ? table_word(frames, low - 1, 1) : 0;
}
