/* SPDX-License-Identifier: MIT */
#include "core/cfi/bytes.h"

enum { LEB_BITS = 7, LEB_SIGN = 0x40, LEB_GOES_ON = 0x80, WORD_BITS = 64 };

uint64_t bytes_long_uleb(struct bytes *bytes)
{
  uint64_t value = 0;
  for (unsigned shift = 0; shift < WORD_BITS; shift += LEB_BITS) {
    uint8_t byte = bytes_u8(bytes);
    value |= (uint64_t)(byte & (LEB_GOES_ON - 1)) << shift;
    if (byte < LEB_GOES_ON)
      return value;
  }
  bytes_spoil(bytes);
  return 0;
}

int64_t bytes_sleb(struct bytes *bytes)
{
  uint64_t value = 0;
  for (unsigned shift = 0; shift < WORD_BITS; shift += LEB_BITS) {
    uint8_t byte = bytes_u8(bytes);
    value |= (uint64_t)(byte & (LEB_GOES_ON - 1)) << shift;
    if (byte >= LEB_GOES_ON)
      continue;
    if ((byte & LEB_SIGN) != 0 && shift + LEB_BITS < WORD_BITS)
      value |= ~(uint64_t)0 << (shift + LEB_BITS);
    return (int64_t)value;
  }
  bytes_spoil(bytes);
  return 0;
}

/* Encoded pointers. */

enum { ABSOLUTE = 0x00, ULEB = 0x01, U2 = 0x02, U4 = 0x03, U8 = 0x04, SLEB = 0x09, S2 = 0x0a, S4 = 0x0b, S8 = 0x0c };
enum { FROM_ITSELF = 0x10, FROM_TEXT = 0x20, FROM_DATA = 0x30, FROM_FUNCTION = 0x40, ALIGNED = 0x50 };
enum { FROM_MASK = 0x70, INDIRECT = 0x80 };

static uint64_t read_format(struct bytes *bytes, uint8_t format)
{
  switch (format) {
  case ABSOLUTE:
  case U8:
  case S8: return bytes_u64(bytes);
  case ULEB: return bytes_uleb(bytes);
  case U2: return bytes_u16(bytes);
  case U4: return bytes_u32(bytes);
  case SLEB: return (uint64_t)bytes_sleb(bytes);
  case S2: return (uint64_t)(int64_t)(int16_t)bytes_u16(bytes);
  case S4: return (uint64_t)(int64_t)(int32_t)bytes_u32(bytes);
  default: bytes_spoil(bytes); return 0;
  }
}

static void align(struct bytes *bytes)
{
  (void)bytes_take(bytes, -bytes->at % sizeof(uintptr_t));
}

static uintptr_t base_of(struct bytes *bytes, uint8_t encoding, const struct pointer_bases *bases)
{
  uintptr_t base = 0;
  switch (encoding & FROM_MASK) {
  case ABSOLUTE: return 0;
  case FROM_ITSELF: return bytes->at;
  case FROM_TEXT: base = bases->text; break;
  case FROM_DATA: base = bases->data; break;
  case FROM_FUNCTION: base = bases->function; break;
  case ALIGNED: align(bytes); return 0;
  }
  if (base == 0)
    bytes_spoil(bytes);
  return base;
}

uintptr_t bytes_pointer(struct bytes *bytes, uint8_t encoding, const struct pointer_bases *bases, uintptr_t low,
                        uintptr_t high)
{
  uintptr_t base = base_of(bytes, encoding, bases);
  uintptr_t value = base + read_format(bytes, encoding & POINTER_FORMAT_MASK);
  if ((encoding & INDIRECT) == 0 || !bytes_are_good(bytes))
    return value;
  struct bytes target = {value, value >= low && value < high ? high : 0};
  if (bytes_are_good(&target))
    value = bytes_u64(&target);
  if (!bytes_are_good(&target))
    bytes_spoil(bytes);
  return value;
}

void bytes_skip_pointer(struct bytes *bytes, uint8_t encoding)
{
  if (encoding == POINTER_OMITTED)
    return;
  if ((encoding & FROM_MASK) == ALIGNED)
    align(bytes);
  (void)read_format(bytes, encoding & POINTER_FORMAT_MASK);
}
