/* SPDX-License-Identifier: MIT */
/* Which record a lane counts at, of a stack where its threads have met others: one of its own, with the same frames.
 * Readers add them up. There are few of them, whatever the program does: what does not fit stays shared.
 *
 * Threads, signals: lock-free; a handler that leaves by siglongjmp between claim and set leaves that stack shared.
 * Memory: 32 KiB of .bss, touched where threads meet. Fork: copied on write; records keep their positions.
 */
#ifndef HEAPPROF_OWN_STACKS_H
#define HEAPPROF_OWN_STACKS_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdint.h>

/* The calling thread's; the stack itself if there is none. */
uint32_t own_stack_of(uint32_t stack);

/* Where to set the calling thread's own. NULL: another one does, or did, or there is no room. */
_Atomic uint32_t *own_stacks_claim(uint32_t stack);
void own_stacks_set(_Atomic uint32_t *claimed, uint32_t own);

/* The stack that this one is a lane's own of; 0: of none. */
uint32_t own_stacks_shared(uint32_t own);

/* Those that belong to it, one after the other, from *position = 0 on; 0: there are no more. */
uint32_t own_stacks_next(uint32_t shared, unsigned *position);

#endif
