/* SPDX-License-Identifier: MIT */
/* A bounded text builder for code that may not allocate. Text that does not fit is cut; the result is always
 * terminated.
 *
 * Threads, signals, fork: safe as long as the buffer is the caller's own.
 */
#ifndef HEAPPROF_TEXT_H
#define HEAPPROF_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
  char *bytes;
  size_t length;   /* without the terminator */
  size_t capacity; /* with it */
  bool cut;
};

#define TEXT_INIT(buffer)                                                                                              \
  {                                                                                                                    \
    .bytes = (buffer), .length = 0, .capacity = sizeof(buffer), .cut = false                                           \
  }

void text_put(struct text *text, const char *string);
void text_put_bytes(struct text *text, const char *bytes, size_t size);
void text_put_u64(struct text *text, uint64_t value);
/* Lower case, without 0x. */
void text_put_hex(struct text *text, uint64_t value);
/* Two lowercase digits a byte. */
void text_put_hex_bytes(struct text *text, const uint8_t *bytes, size_t size);

/* Is it well-formed UTF-8 (RFC 3629)? Paths and names of symbols can be any bytes. */
bool text_is_utf8(const char *string);
/* Replaces each byte that is not part of well-formed UTF-8 by '?'. */
void text_make_utf8(char *string);

/* Makes a part of a file's name of it: slashes, spaces and control characters (those of UTF-8 beyond ASCII, too) become
 * '_'. */
void text_make_name_part(char *string);

/* The last component of a path; the path itself without a slash. */
const char *text_basename(const char *path);

#endif
