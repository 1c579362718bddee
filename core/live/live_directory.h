/* SPDX-License-Identifier: MIT */
/* A word for each block of the heap that holds sampled objects: a block is 4 KiB of addresses. In exact mode it leads
 * to all that is live there (live_shelves.h).
 *
 * Areas of 256 MiB are found by a hash of their number, blocks by their place in the area: those of neighbours lie
 * beside each other. Nothing is ever moved or taken away.
 *
 * Threads, signals: lock-free; a handler may interrupt any step, and siglongjmp out of one. Memory: 512 KiB of
 * addresses an area, of which a page is touched for each 2 MiB of heap; 128 KiB of .bss, a line for each area. Fork:
 * copied on write. Failure: no word where memory is refused, and where objects are spread over thousands of areas (a
 * terabyte).
 */
#ifndef HEAPPROF_LIVE_DIRECTORY_H
#define HEAPPROF_LIVE_DIRECTORY_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdint.h>

enum { LIVE_BLOCK_SHIFT = 12, LIVE_BLOCK_BYTES = 1 << LIVE_BLOCK_SHIFT };

/* 0: nothing was ever put there. Whoever makes it another value calls live_directory_note before. */
typedef _Atomic uint64_t live_block;

/* NULL: nothing was ever put near there. */
SAMPLED_EXACT live_block *live_directory_find(const void *pointer);

/* NULL: no memory. */
live_block *live_directory_make(const void *pointer);

/* So that live_directory_each comes by a block that live_directory_make has given. */
void live_directory_note(const void *pointer);

/* Visits every block whose word is not 0 from begin to end. */
void live_directory_each(void (*visit)(live_block *block, void *argument), void *argument);

#endif
