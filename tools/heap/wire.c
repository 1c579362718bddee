/* SPDX-License-Identifier: MIT */
#include "tools/heap/wire.h"

#include <stddef.h>

enum { VARINT_BYTES_MAX = 10 };

static bool read_varint(const uint8_t **position, const uint8_t *end, uint64_t *value)
{
  *value = 0;
  for (unsigned i = 0; i < VARINT_BYTES_MAX && *position < end; i++) {
    uint8_t byte = *(*position)++;
    *value |= (uint64_t)(byte & 0x7f) << (7 * i);
    if (byte < 0x80)
      return true;
  }
  return false;
}

/* Finds the end of the value that starts at `contents`. */
static bool find_end(struct wire_field *field, const uint8_t *end)
{
  uint64_t value, length = 0;
  switch (field->type) {
  case WIRE_VARINT: field->end = field->contents; return read_varint(&field->end, end, &value);
  case WIRE_BYTES:
    if (!read_varint(&field->contents, end, &length))
      return false;
    break;
  case WIRE_64_BITS: length = 8; break;
  case WIRE_32_BITS: length = 4; break;
  default: return false;
  }
  if (length > (size_t)(end - field->contents))
    return false;
  field->end = field->contents + length;
  return true;
}

bool wire_next(const uint8_t **position, const uint8_t *end, struct wire_field *field)
{
  uint64_t tag;
  field->start = field->contents = *position;
  if (!read_varint(&field->contents, end, &tag))
    return false;
  field->number = tag >> 3;
  field->type = tag & 7;
  if (field->number == 0 || !find_end(field, end))
    return false;
  *position = field->end;
  return true;
}
