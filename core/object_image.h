/* SPDX-License-Identifier: MIT */
/* A loaded ELF object as it lies in memory: its program headers and what they lead to.
 *
 * Threads, signals: safe as long as the object stays loaded. Memory: none. Failure: false; the object is then none that
 * we know how to read.
 */
#ifndef HEAPPROF_OBJECT_IMAGE_H
#define HEAPPROF_OBJECT_IMAGE_H

#include "core/build_id.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OBJECT_PAGE_BYTES = 4096 };

struct address_range {
  uintptr_t low, high;
};

struct object_image {
  const ElfW(Phdr) * headers;
  unsigned count;
  uintptr_t bias;             /* address minus the address in the ELF file */
  struct address_range range; /* from the page of the ELF header to the end of the last one */
};

/* What _dl_find_object found. False: there is no ELF header where one is expected. */
bool object_image_open(const struct dl_find_object *object, struct object_image *image);

/* The part of a segment that comes from the file; empty: it is none that is loaded, or not readable. */
struct address_range object_image_readable(const struct object_image *image, unsigned segment);

/* Where a process begins in it; 0: nowhere. */
uintptr_t object_image_entry(const struct object_image *image);

/* Of size 0: there is none. */
struct build_id object_image_build_id(const struct object_image *image);

/* Does its code without unwind information keep frame pointers, which lead from one stack to another where it changes
 * them? Go's does. */
bool object_image_keeps_frames(const struct object_image *image);

/* The same for two loads of the same file, wherever it lies; hardly ever for another file. */
uint64_t object_image_fingerprint(const struct object_image *image, const struct build_id *id);

static inline uint64_t object_page_down(uint64_t address)
{
  return address & ~(uint64_t)(OBJECT_PAGE_BYTES - 1);
}

static inline uint64_t object_page_up(uint64_t address)
{
  return object_page_down(address + OBJECT_PAGE_BYTES - 1);
}

#endif
