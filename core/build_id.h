/* SPDX-License-Identifier: MIT */
/* What tells two builds of a file apart: the NT_GNU_BUILD_ID note that the linker left in it. */
#ifndef HEAPPROF_BUILD_ID_H
#define HEAPPROF_BUILD_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUILD_ID_MAX_BYTES = 32 };

struct build_id {
  uint8_t bytes[BUILD_ID_MAX_BYTES];
  uint32_t size; /* 0: there is none, or a longer one */
};

/* The first build id among `size` bytes of notes, whatever they are. `alignment` is that of their segment or section: 8
 * pads to 8 bytes, all others to 4. The last note may come without its padding. */
bool build_id_find(const void *notes, size_t size, uint64_t alignment, struct build_id *id);

/* Is there one of Go's own kind among them? */
bool build_id_is_of_go(const void *notes, size_t size, uint64_t alignment);

#endif
