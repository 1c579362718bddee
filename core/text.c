/* SPDX-License-Identifier: MIT */
#include "core/text.h"

#include <string.h>

void text_put_bytes(struct text *text, const char *bytes, size_t size)
{
  size_t room = text->capacity - text->length - 1;
  if (size > room) {
    size = room;
    text->cut = true;
  }
  memcpy(text->bytes + text->length, bytes, size);
  text->length += size;
  text->bytes[text->length] = '\0';
}

void text_put(struct text *text, const char *string)
{
  text_put_bytes(text, string, strlen(string));
}

static void put_digits(struct text *text, uint64_t value, unsigned base)
{
  char digits[24];
  size_t first = sizeof digits;
  do {
    digits[--first] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  text_put_bytes(text, digits + first, sizeof digits - first);
}

void text_put_u64(struct text *text, uint64_t value)
{
  put_digits(text, value, 10);
}

void text_put_hex(struct text *text, uint64_t value)
{
  put_digits(text, value, 16);
}

void text_put_hex_bytes(struct text *text, const uint8_t *bytes, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    char pair[2] = {"0123456789abcdef"[bytes[i] >> 4], "0123456789abcdef"[bytes[i] & 15]};
    text_put_bytes(text, pair, sizeof pair);
  }
}

const char *text_basename(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}
