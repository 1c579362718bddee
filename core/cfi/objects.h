/* SPDX-License-Identifier: MIT */
/* What the reader needs of the loaded object that holds a pc, without a lock: a cache of what modules.c knows, by the
 * loader's handle and the generation that dlclose moves. An object that is not in it is looked up, and recorded if it
 * is new, under modules_lock, on a stack of ours, with signals blocked: once for each, in the usual case.
 *
 * Threads, signals: safe; a reader who meets a writer takes it for a miss. Stack: 200 bytes. Memory: 128 KiB of .bss,
 * touched as it fills. Fork: what was being written stays a miss.
 */
#ifndef HEAPPROF_CFI_OBJECTS_H
#define HEAPPROF_CFI_OBJECTS_H

#include "core/cfi/eh_frame.h"
#include "core/modules.h"

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

/* False: none does. */
bool objects_ask_loader(uintptr_t pc, struct object_holder *holder);

/* False: not known. */
bool objects_find(const struct object_holder *holder, uintptr_t pc, struct cfi_object *object);

enum objects_learned {
  OBJECTS_LEARNED,
  OBJECTS_NONE, /* no object, or no room to record it */
  OBJECTS_BUSY, /* not now: another thread is at the list of modules, or signals can't be blocked */
};

/* Makes it known. */
enum objects_learned objects_learn(uintptr_t pc);

/* Nothing was found for the pc by the linker's table of its object, which may not be sorted. True: there is another
 * table now. */
bool objects_check_table(const struct object_holder *holder, uintptr_t pc);

/* Can [address, address + size) be read, as it lies in the part that holds the pc? */
static inline bool object_code_holds(const struct cfi_object *object, uintptr_t address, uintptr_t size)
{
  return (object->flags & CFI_OBJECT_OPAQUE) == 0 && address >= object->code.low && address <= object->code.high &&
         size <= object->code.high - address;
}

#endif
