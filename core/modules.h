/* SPDX-License-Identifier: MIT */
/* The loaded objects that stacks run through: found when a frame rule is first compiled for one of their pcs, written
 * to the region once per executable segment, kept there when the object is unloaded.
 *
 * Looked up without a lock (loader/loaded.h). dlopen needs nothing to be done here. dlclose does: what it unloaded
 * is marked and every frame rule compiled before becomes unreachable. No reader is in the middle of it (cfi/readers.h).
 *
 * A file that is loaded again is the module that it was, under the addresses that it had then, wherever it lies now:
 * who loads a plug-in 5,000 times has it once in the region, and its stacks once. Another file that comes to lie where
 * a recorded one lay is recorded under addresses that no process uses (address_map.h).
 *
 * Threads: modules_find and modules_check_unloaded under modules_lock, with signals blocked; the rest anywhere. Memory:
 * mapped as the table fills, at most MODULES_MAX objects; when all are taken, the one goes that was unloaded longest
 * ago. Fork: the table is copied on write and stays right. Failure: NULL; the pc is then treated as code without CFI,
 * and where the table is full of loaded objects, counted.
 */
#ifndef HEAPPROF_MODULES_H
#define HEAPPROF_MODULES_H

#include "core/address_map.h"
#include "core/cfi/eh_frame.h"
#include "core/compiler.h"
#include "core/lock.h"
#include "core/object_image.h"
#include "core/region.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { MODULES_MAX = ADDRESS_MAP_MAX, MODULE_SEGMENTS_MAX = 8, MODULE_PATH_MAX = 1024 };

/* What the frame-rule compiler needs of an object. */
struct module {
  const void *link_map;       /* only compared, never read later */
  struct address_range image; /* from the ELF header to the end of the last segment */
  struct address_range readable[MODULE_SEGMENTS_MAX];
  unsigned readable_count;
  const uint8_t *eh_frame_hdr; /* NULL: there is none */
  struct eh_frame frames;      /* cfi/objects.c knows */
  bool frames_are_known, frames_are_checked;
  bool keeps_frames; /* object_image_keeps_frames */
  uintptr_t entry;   /* object_image_entry */
  /* An address that the loader answers for: where segments have gaps between them, not every address is one. */
  uintptr_t found_at;
  uint64_t shift;       /* added to a real address to get the recorded one */
  uint64_t fingerprint; /* of the file and its name */
  uint64_t unloaded_at; /* the number of the unloading; 0: it is loaded */
  uint32_t records[MODULE_SEGMENTS_MAX];
  unsigned record_count;
};

extern struct lock modules_lock;

/* From the constructor, after loaded_init. `main_path` is the main program's file. */
void modules_init(const char *main_path);

/* The loaded object that holds `pc`, registered if it is new. */
struct module *modules_find(uintptr_t pc);

/* The same as it lies there, without the lock: nothing is registered, and nothing known of it that was found out
 * before. Stack: 1 KiB. False: there is none. */
bool modules_look(uintptr_t pc, struct module *module);

/* Was it loaded when the program started, so that it is never unloaded? */
bool modules_are_permanent(const void *link_map);

/* What it started with, one by one: the first after NULL, NULL after the last. */
struct link_map;
const struct link_map *modules_next_permanent(const struct link_map *map);

/* Is the program Erlang's virtual machine, which is called beam.smp? */
bool modules_are_of_erlang(void);

/* Is [address, address + size) in a readable segment of the module? */
bool module_holds(const struct module *module, uintptr_t address, size_t size);

/* The readable segment that holds `address`; empty: there is none. */
struct address_range module_segment(const struct module *module, uintptr_t address);

/* After a dlclose. */
void modules_check_unloaded(void);

/* The address to record for `pc`. */
static ALWAYS_INLINE uint64_t modules_recorded_pc(uintptr_t pc)
{
  return address_map_get(pc);
}

/* Visits every recorded segment; NULL at the end. Start with *position = 0. */
struct module_record *modules_next(uint64_t *position);

#endif
