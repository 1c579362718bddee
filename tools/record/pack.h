/* SPDX-License-Identifier: MIT */
/* Numbers as bytes, small ones in few: what the blobs of a recording are made of.
 *
 * Failure: what is read past the end, or is no number, is 0 and breaks the reader for good.
 */
#ifndef HEAPPROF_PACK_H
#define HEAPPROF_PACK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

void pack_number(GByteArray *bytes, uint64_t number);
void pack_signed(GByteArray *bytes, int64_t number);
/* In single precision. */
void pack_real(GByteArray *bytes, double number);
void pack_text(GByteArray *bytes, const char *text);

struct unpack {
  const uint8_t *at, *end;
  bool is_broken;
};

/* Of all of them, from the start. */
static inline struct unpack unpack_of(const GByteArray *bytes)
{
  return (struct unpack){.at = bytes->data, .end = bytes->len > 0 ? bytes->data + bytes->len : bytes->data};
}

uint64_t unpack_number(struct unpack *unpack);
int64_t unpack_signed(struct unpack *unpack);
/* Neither negative nor none: broken. */
double unpack_real(struct unpack *unpack);
/* A new text, never NULL. */
char *unpack_text(struct unpack *unpack);
/* How many things follow, each of which takes a byte at least; 0 and broken: more than there are bytes. */
uint32_t unpack_count(struct unpack *unpack);
/* A number below `limit`, else 0 and broken. */
uint32_t unpack_index(struct unpack *unpack, uint32_t limit);
/* Everything was read, and was sound. */
bool unpack_is_done(const struct unpack *unpack);

/* gzip. NULL and *error: damaged, or more than `limit_bytes`. */
GBytes *pack_deflate(const GByteArray *bytes);
GByteArray *pack_inflate(const void *bytes, size_t size, size_t limit_bytes, const char *name, GError **error);

#endif
