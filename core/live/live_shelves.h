/* SPDX-License-Identifier: MIT */
/* Where exact mode keeps the words of live objects (live_word.h): on shelves, one or a few for each block of the heap
 * that has objects (live_directory.h).
 *
 * A shelf is one to 64 cache lines, and each line is for the same part of the block. So objects that lie one behind the
 * other have words that lie one behind the other: what is made in order and freed in order finds the next word in the
 * cache, and what is freed at random reads one line. How many lines a shelf has, the size of the first object tells. If
 * a line turns out to be full, the block gets another shelf of twice as many, in front of those it has. Words are never
 * moved, and shelves stay.
 *
 * Only the thread that owns a pointer (by the rules of malloc and free) puts or takes its word.
 *
 * Threads, signals: lock-free; a handler may interrupt any step, and siglongjmp out of one, at the cost of one shelf.
 * Memory: 8 to 24 bytes an object where many share a block, 72 where one has it to itself. Fork: copied on write.
 * Failure: live_shelves_put returns false when memory is refused.
 */
#ifndef HEAPPROF_LIVE_SHELVES_H
#define HEAPPROF_LIVE_SHELVES_H

#include "core/live/live_word.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* size_bytes: of the object, so of its neighbours, it is guessed. */
SAMPLED_EXACT bool live_shelves_put(const void *pointer, uint64_t word, size_t size_bytes);

/* 0: there is none. */
SAMPLED_EXACT uint64_t live_shelves_take(const void *pointer);

/* Visits every word that is there from begin to end. */
void live_shelves_each(void (*visit)(_Atomic uint64_t *slot, void *argument), void *argument);

/* Brings the line where the word belongs into the cache. */
SAMPLED_EXACT void live_shelves_prefetch(const void *pointer);

#endif
