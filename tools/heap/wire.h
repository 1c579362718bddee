/* SPDX-License-Identifier: MIT */
/* The fields of a protobuf message, one after the other, without unpacking them. Input may be anything.
 *
 * Memory: fields point into the message. Failure: false at a field that is not sound.
 */
#ifndef HEAPPROF_WIRE_H
#define HEAPPROF_WIRE_H

#include <stdbool.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };

struct wire_field {
  uint64_t number;
  unsigned type;
  const uint8_t *start;          /* with its tag */
  const uint8_t *contents, *end; /* of its value; of bytes, without the length */
};

/* The field at *position, which moves behind it. False: no whole field before `end`, or one of a type that is not
 * used any more (groups). */
bool wire_next(const uint8_t **position, const uint8_t *end, struct wire_field *field);

#endif
