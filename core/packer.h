/* SPDX-License-Identifier: MIT */
/* Packs messages of Protocol Buffers, as proto3 has them: a number that is 0 is left out.
 *
 * Threads, signals, fork: safe. Memory: the caller's, who has made sure that all fits. Failure: none.
 */
#ifndef HEAPPROF_PACKER_H
#define HEAPPROF_PACKER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  PACKER_U32_MAX_BYTES = 5,
  PACKER_U64_MAX_BYTES = 10,
  PACKER_FIELD_MAX_BYTES = PACKER_U32_MAX_BYTES + PACKER_U64_MAX_BYTES, /* its number, and a number or a length */
};

struct packer {
  uint8_t *at;
};

enum packer_wire { PACKER_VARINT = 0, PACKER_SIZED = 2 };

static inline void packer_put_varint(struct packer *packer, uint64_t value)
{
  for (; value >= 0x80; value >>= 7)
    *packer->at++ = (uint8_t)(value | 0x80);
  *packer->at++ = (uint8_t)value;
}

static inline void packer_put_tag(struct packer *packer, unsigned field, enum packer_wire wire)
{
  packer_put_varint(packer, (uint64_t)field << 3 | wire);
}

static inline void packer_put_number(struct packer *packer, unsigned field, uint64_t value)
{
  if (value == 0)
    return;
  packer_put_tag(packer, field, PACKER_VARINT);
  packer_put_varint(packer, value);
}

static inline void packer_put_bytes(struct packer *packer, unsigned field, const void *bytes, size_t size)
{
  packer_put_tag(packer, field, PACKER_SIZED);
  packer_put_varint(packer, size);
  memcpy(packer->at, bytes, size);
  packer->at += size;
}

/* A message inside of another, or a field of packed numbers: what is put until packer_end. */
static inline uint8_t *packer_begin(struct packer *packer, unsigned field)
{
  packer_put_tag(packer, field, PACKER_SIZED);
  return packer->at++; /* room for the length, which is mostly below 128 */
}

static inline void packer_end(struct packer *packer, uint8_t *begin)
{
  struct packer length = {begin};
  size_t size = (size_t)(packer->at - begin - 1), more = 0;
  for (size_t rest = size >> 7; rest > 0; rest >>= 7)
    more++;
  if (more > 0)
    memmove(begin + 1 + more, begin + 1, size);
  packer_put_varint(&length, size);
  packer->at += more;
}

#endif
