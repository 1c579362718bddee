/* SPDX-License-Identifier: MIT */
/* A cursor over bytes that somebody else wrote. Every read is inside of them; one that would not be gives 0 and spoils
 * the cursor, so that all later ones do, too: who reads asks once, at the end.
 */
#ifndef HEAPPROF_CFI_BYTES_H
#define HEAPPROF_CFI_BYTES_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
  uintptr_t at;
  uintptr_t end; /* 0: spoiled */
};

static inline bool bytes_are_good(const struct bytes *bytes)
{
  return bytes->end != 0;
}

static inline void bytes_spoil(struct bytes *bytes)
{
  *bytes = (struct bytes){0, 0};
}

/* Not outside of [low, high). */
static inline struct bytes bytes_clipped(struct bytes bytes, uintptr_t low, uintptr_t high)
{
  if (bytes.at < low || bytes.at > bytes.end || bytes.end > high)
    bytes_spoil(&bytes);
  return bytes;
}

/* Where the next `size` bytes lie, which are then behind the cursor; 0: there are none. */
static ALWAYS_INLINE uintptr_t bytes_take(struct bytes *bytes, uint64_t size)
{
  uintptr_t at = bytes->at;
  if (UNLIKELY(size > bytes->end - at)) {
    bytes_spoil(bytes);
    return 0;
  }
  bytes->at = at + size;
  return at;
}

#define BYTES_READER(name, type)                                                                                       \
  static ALWAYS_INLINE type name(struct bytes *bytes)                                                                  \
  {                                                                                                                    \
    uintptr_t at = bytes_take(bytes, sizeof(type));                                                                    \
    type value = 0;                                                                                                    \
    if (LIKELY(at != 0))                                                                                               \
      __builtin_memcpy(&value, (const void *)at, sizeof value);                                                        \
    return value;                                                                                                      \
  }
BYTES_READER(bytes_u8, uint8_t)
BYTES_READER(bytes_u16, uint16_t)
BYTES_READER(bytes_u32, uint32_t)
BYTES_READER(bytes_u64, uint64_t)
#undef BYTES_READER

/* LEB128. More than 64 bits spoil the cursor. */
HIDDEN uint64_t bytes_long_uleb(struct bytes *bytes);
HIDDEN int64_t bytes_sleb(struct bytes *bytes);

/* Nearly all of them have one byte. */
static ALWAYS_INLINE uint64_t bytes_uleb(struct bytes *bytes)
{
  enum { GOES_ON = 0x80 };
  if (LIKELY(bytes->at < bytes->end && *(const uint8_t *)bytes->at < GOES_ON))
    return *(const uint8_t *)bytes->at++;
  return bytes_long_uleb(bytes);
}

/* What encoded pointers may count from; 0: it is not known, and such a pointer spoils the cursor. */
struct pointer_bases {
  uintptr_t text, data, function;
};

enum { POINTER_OMITTED = 0xff, POINTER_FORMAT_MASK = 0x0f };

/* A pointer of that encoding (DW_EH_PE_*). An indirect one is followed inside of [low, high). */
HIDDEN uintptr_t bytes_pointer(struct bytes *bytes, uint8_t encoding, const struct pointer_bases *bases, uintptr_t low,
                               uintptr_t high);

/* Goes past it. */
HIDDEN void bytes_skip_pointer(struct bytes *bytes, uint8_t encoding);

#endif
