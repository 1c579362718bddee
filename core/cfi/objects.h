/* SPDX-License-Identifier: MIT */
/* The object that holds a pc: asked of the loader without a lock, then looked up in a cache (object_cache.h). One that
 * is not there is looked up, and recorded if it is new, under modules_lock, on a stack of ours, with signals blocked:
 * once for each, in the usual case.
 *
 * Threads, signals: safe. Stack: 200 bytes. Memory: a stack of 16 KiB.
 */
#ifndef HEAPPROF_CFI_OBJECTS_H
#define HEAPPROF_CFI_OBJECTS_H

#include "core/cfi/object_cache.h"
#include "core/modules.h"

#include <stdbool.h>
#include <stdint.h>

/* False: none does. */
bool objects_ask_loader(uintptr_t pc, struct object_holder *holder);

enum objects_learned {
  OBJECTS_LEARNED,
  OBJECTS_NONE, /* no object, or no room to record it */
  OBJECTS_BUSY, /* not now: another thread is at the list of modules, or signals can't be blocked */
};

/* Makes it known. */
enum objects_learned objects_learn(uintptr_t pc);

/* Those that the program started with: soon nothing may be asked. */
void objects_foresee(void);

/* Nothing was found for the pc by the linker's table of its object, which may not be sorted. True: there is another
 * table now. */
bool objects_check_table(const struct object_holder *holder, uintptr_t pc);

#endif
