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

/* Of the character that begins here; 0: none does. What follows the terminator is never read: it is no second byte. */
static size_t character_bytes(const uint8_t *first)
{
  if (first[0] < 0x80)
    return 1;
  if (first[0] < 0xc2 || first[0] > 0xf4)
    return 0;
  size_t size = first[0] < 0xe0 ? 2 : first[0] < 0xf0 ? 3 : 4;
  uint8_t low = first[0] == 0xe0 ? 0xa0 : first[0] == 0xf0 ? 0x90 : 0x80;  /* not longer than need be */
  uint8_t high = first[0] == 0xed ? 0x9f : first[0] == 0xf4 ? 0x8f : 0xbf; /* no surrogates, nothing beyond U+10FFFF */
  if (first[1] < low || first[1] > high)
    return 0;
  for (size_t i = 2; i < size; i++)
    if ((first[i] & 0xc0) != 0x80)
      return 0;
  return size;
}

bool text_is_utf8(const char *string)
{
  for (size_t size; *string != '\0'; string += size)
    if ((size = character_bytes((const uint8_t *)string)) == 0)
      return false;
  return true;
}

void text_make_utf8(char *string)
{
  for (size_t size; *string != '\0'; string += size > 0 ? size : 1)
    if ((size = character_bytes((const uint8_t *)string)) == 0)
      *string = '?';
}

const char *text_basename(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

void text_make_name_part(char *string)
{
  enum { DELETE = 0x7f, C1_LEAD = 0xc2, C1_LAST = 0x9f };
  for (unsigned char *c = (unsigned char *)string; *c != '\0'; c++) {
    if (*c == C1_LEAD && c[1] >= 0x80 && c[1] <= C1_LAST) {
      c[0] = c[1] = '_';
      c++;
    } else if (*c == '/' || *c <= ' ' || *c == DELETE) {
      *c = '_';
    }
  }
}
