/* SPDX-License-Identifier: MIT */
/* Addresses, each once, in 12 to 16 bytes. They are numbered as they come, and by size when all are there.
 *
 * Threads: one at a time. Failure: none. Who chose the addresses cannot make it slow: they are hashed with a secret.
 */
#ifndef HEAPPROF_ADDRESSES_H
#define HEAPPROF_ADDRESSES_H

#include <glib.h>
#include <stdint.h>

struct addresses {
  GArray *values; /* uint64_t */
  /* Of addresses.c. */
  uint32_t *slots; /* 1 + index of a value, or 0 */
  unsigned slot_bits;
  uint64_t key;
};

void addresses_init(struct addresses *addresses);
void addresses_clear(struct addresses *addresses);

/* The index of an address in `values`, where it is added if it is new. */
uint32_t addresses_add(struct addresses *addresses, uint64_t address);

/* Soon it will be added: large tables lie far from the processor. */
void addresses_expect(const struct addresses *addresses, uint64_t address);

/* Sorts the values, after which none may be added. Returns the new index of each by its old one, to be freed. */
uint32_t *addresses_sort(struct addresses *addresses);

#endif
