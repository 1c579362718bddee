/* SPDX-License-Identifier: MIT */
/* Where an object has its .eh_frame, and a table to find its entries by: the linker's, in .eh_frame_hdr; our own where
 * there is none that is usual and sorted (--no-eh-frame-hdr). An own table is made once, and kept: an object that comes
 * back is the same, and of others there are few.
 *
 * Threads: under modules_lock but for locate_noted_frames, on a stack of ours, with signals blocked. Memory: an own
 * table is mapped, 8 bytes for each of at most LOCATE_ENTRIES_MAX entries. Failure: no table; entries are then read one
 * by one.
 */
#ifndef HEAPPROF_CFI_LOCATE_H
#define HEAPPROF_CFI_LOCATE_H

#include "core/modules.h"

enum { LOCATE_ENTRIES_MAX = 1 << 21, LOCATE_SCAN_BYTES_MAX = 64 << 20 };

/* Fills in module->frames. */
void locate_frames(struct module *module);

/* The same without the lock, and without making or looking for anything. False: that would be needed. */
bool locate_noted_frames(struct module *module);

/* Something was not found by the linker's table: makes our own if that is not sorted. True: it did. */
bool locate_sort_if_needed(struct module *module);

#endif
