/* SPDX-License-Identifier: MIT */
/* What the reader needs of loaded objects, without a lock: a cache of what modules.c knows, by the loader's handle and
 * the generation that dlclose moves.
 *
 * Threads: put by one at a time, under modules_lock. Threads, signals: got anywhere; who meets a writer takes it for a
 * miss. Memory: 132 KiB of .bss, touched as it fills, a page for the first 32. Fork: what was being written stays a
 * miss.
 */
#ifndef HEAPPROF_CFI_OBJECT_CACHE_H
#define HEAPPROF_CFI_OBJECT_CACHE_H

#include "core/cfi/eh_frame.h"
#include "core/object_image.h"

#include <stdbool.h>
#include <stdint.h>

/* Words only, as it is copied word by word. */
struct cfi_object {
  struct address_range code; /* the part that holds the pc */
  uintptr_t flags;           /* of enum cfi_object_flag */
  uintptr_t entry;           /* where a process begins; 0: not in this object */
  struct eh_frame frames;
};

enum cfi_object_flag {
  CFI_OBJECT_PERMANENT = 1,    /* never unloaded */
  CFI_OBJECT_CHECKED = 2,      /* its table is sorted, or our own */
  CFI_OBJECT_OPAQUE = 4,       /* the part can't be read */
  CFI_OBJECT_KEEPS_FRAMES = 8, /* object_image_keeps_frames */
};

/* What the loader says of the object that holds a pc. */
struct object_holder {
  const void *link_map, *eh_frame_hdr;
};

/* False: it is not in the cache. */
bool object_cache_get(const struct object_holder *holder, uintptr_t pc, struct cfi_object *object);

void object_cache_put(const struct object_holder *holder, const struct cfi_object *object);

/* Can [address, address + size) be read, as it lies in the part that holds the pc? */
static inline bool object_code_holds(const struct cfi_object *object, uintptr_t address, uintptr_t size)
{
  return (object->flags & CFI_OBJECT_OPAQUE) == 0 && address >= object->code.low && address <= object->code.high &&
         size <= object->code.high - address;
}

#endif
