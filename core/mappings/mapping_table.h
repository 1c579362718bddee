/* SPDX-License-Identifier: MIT */
/* Which ranges of addresses the program has mapped itself, and by which stack: exact, and what is left of each where
 * parts of it were unmapped since.
 *
 * A slot for each range, whose word in one step says which range and that a thread is changing it. Each is changed by
 * one thread at a time, so what a stack has mapped and what was unmapped of it are counted once. A range that was put
 * there after an event began is not the event's: the address was given out again.
 *
 * Threads, signals: any; who finds that another thread holds a slot waits about a millisecond and then leaves it and
 * counts a loss; a handler that interrupted its own thread there does so at once: a timer would come again meanwhile.
 * A slot that siglongjmp left busy stays so. Memory: 168 KiB of .bss, touched as far as slots are used, and 68 KiB in
 * the state file, where readers find the ranges. Fork: copied on write; a child writes to no file before
 * mapping_table_adopt. Failure: false, and the range is not known.
 */
#ifndef HEAPPROF_MAPPING_TABLE_H
#define HEAPPROF_MAPPING_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum { MAPPING_SLOTS = 4096 };

/* In pages of 4 KiB. */
struct page_range {
  uint64_t first, limit;
};

/* The number of an event that begins: ranges that are added from now on have later ones. */
uint64_t mapping_table_event(void);

/* Nothing of the range is in the table. */
bool mapping_table_add(struct page_range range, uint32_t stack);

/* Takes what there is of the range out of those that were added before an event; UINT64_MAX: of all. */
void mapping_table_remove(struct page_range range, uint64_t event);

/* The stack that has mapped a page; 0: none. */
uint32_t mapping_table_stack(uint64_t page);

/* Ranges that were lost may be counted by the caller. */
void mapping_table_lose(void);

/* How many slots were ever in use. */
unsigned mapping_table_used(void);

/* For a region that was adopted, whose epoch has begun: counts there what this process has. One thread. */
void mapping_table_adopt(void);
/* When the process is settled. */
void mapping_table_end_adoption(void);

/* For pthread_atfork, in the child: what other threads were changing is lost. */
void mapping_table_was_forked(void);

#endif
