/* SPDX-License-Identifier: MIT */
#include "tools/record/pack.h"

#include "tools/heap/input.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

enum { NUMBER_BYTES_MAX = 10, LEVEL = 6, MEMORY_LEVEL = 8, GZIP_WRAPPER = 16, GROUP_BITS = 7, GROUP = 1 << GROUP_BITS };

void pack_number(GByteArray *bytes, uint64_t number)
{
  uint8_t packed[NUMBER_BYTES_MAX];
  guint count = 0;
  for (; number >= GROUP; number >>= GROUP_BITS)
    packed[count++] = (uint8_t)(number | GROUP);
  packed[count++] = (uint8_t)number;
  g_byte_array_append(bytes, packed, count);
}

/* Zigzag: 0, -1, 1, -2, ... */
void pack_signed(GByteArray *bytes, int64_t number)
{
  pack_number(bytes, ((uint64_t)number << 1) ^ (uint64_t)(number >> 63));
}

void pack_real(GByteArray *bytes, double number)
{
  float single = (float)number;
  uint32_t bits;
  memcpy(&bits, &single, sizeof bits);
  bits = GUINT32_TO_LE(bits);
  g_byte_array_append(bytes, (const guint8 *)&bits, sizeof bits);
}

void pack_text(GByteArray *bytes, const char *text)
{
  size_t size = strlen(text);
  pack_number(bytes, size);
  g_byte_array_append(bytes, (const guint8 *)text, (guint)size);
}

uint64_t unpack_number(struct unpack *unpack)
{
  uint64_t number = 0;
  for (unsigned i = 0; i < NUMBER_BYTES_MAX && unpack->at < unpack->end; i++) {
    uint8_t byte = *unpack->at++;
    number |= (uint64_t)(byte & (GROUP - 1)) << (GROUP_BITS * i);
    if (byte < GROUP)
      return number;
  }
  unpack->is_broken = true;
  return 0;
}

int64_t unpack_signed(struct unpack *unpack)
{
  uint64_t number = unpack_number(unpack);
  return (int64_t)((number >> 1) ^ (0 - (number & 1)));
}

static bool has(struct unpack *unpack, size_t size)
{
  unpack->is_broken |= size > (size_t)(unpack->end - unpack->at);
  return !unpack->is_broken;
}

double unpack_real(struct unpack *unpack)
{
  uint32_t bits;
  float single;
  if (!has(unpack, sizeof bits))
    return 0;
  memcpy(&bits, unpack->at, sizeof bits);
  unpack->at += sizeof bits;
  bits = GUINT32_FROM_LE(bits);
  memcpy(&single, &bits, sizeof single);
  if (isfinite(single) && single >= 0)
    return (double)single;
  unpack->is_broken = true;
  return 0;
}

char *unpack_text(struct unpack *unpack)
{
  uint64_t size = unpack_number(unpack);
  if (!has(unpack, size))
    return g_strdup("");
  char *text = g_strndup((const char *)unpack->at, size);
  unpack->at += size;
  return text;
}

uint32_t unpack_count(struct unpack *unpack)
{
  uint64_t count = unpack_number(unpack);
  return has(unpack, count) && count < UINT32_MAX ? (uint32_t)count : 0;
}

uint32_t unpack_index(struct unpack *unpack, uint32_t limit)
{
  uint64_t index = unpack_number(unpack);
  unpack->is_broken |= index >= limit;
  return unpack->is_broken ? 0 : (uint32_t)index;
}

bool unpack_is_done(const struct unpack *unpack)
{
  return !unpack->is_broken && unpack->at == unpack->end;
}

GBytes *pack_deflate(const GByteArray *bytes)
{
  z_stream stream = {.next_in = bytes->data, .avail_in = bytes->len};
  if (deflateInit2(&stream, LEVEL, Z_DEFLATED, MAX_WBITS | GZIP_WRAPPER, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    g_error("no memory to compress %u bytes", bytes->len);
  uLong bound = deflateBound(&stream, bytes->len);
  uint8_t *packed = stream.next_out = g_malloc(bound);
  stream.avail_out = (uInt)bound;
  int result = deflate(&stream, Z_FINISH);
  g_assert(result == Z_STREAM_END); /* deflateBound says so */
  (void)deflateEnd(&stream);
  return g_bytes_new_take(g_realloc(packed, stream.total_out), stream.total_out);
}

GByteArray *pack_inflate(const void *bytes, size_t size, size_t limit_bytes, const char *name, GError **error)
{
  return input_inflate(bytes, size, limit_bytes, name, error);
}
