/* SPDX-License-Identifier: MIT */
/* Bytes that go from one process to another without being copied, and to a client without being read: a file without a
 * name. Who holds it shares it.
 *
 * Failure: NULL, and errno.
 */
#ifndef HEAPPROF_PARCEL_H
#define HEAPPROF_PARCEL_H

#include <glib.h>
#include <stdint.h>

struct parcel {
  int fd;
  uint64_t size;
  unsigned holders;
};

struct parcel *parcel_of_bytes(const void *bytes, size_t size);

/* Takes the descriptor. */
struct parcel *parcel_of_descriptor(int fd, uint64_t size);

struct parcel *parcel_hold(struct parcel *parcel); /* NULL stays NULL */
void parcel_release(struct parcel *parcel);

/* All that is in it. NULL: it cannot be read, or is larger than `most`. */
GBytes *parcel_bytes(const struct parcel *parcel, size_t most);

/* Of all that this process holds. */
uint64_t parcel_bytes_held(void);

#endif
