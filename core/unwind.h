/* SPDX-License-Identifier: MIT */
/* The walker: from the frame that called malloc to the outermost one, by cached frame rules and bounded reads.
 *
 * Costs one cache probe and two bounded loads a frame when warm, and a load where the last walk of the thread came by
 * (trail.h). The addresses it gives lie inside the calling instruction (return address - 1), except for a frame that a
 * signal interrupted: there it is the interrupted instruction itself.
 *
 * Threads, signals: safe, nobody is kept waiting meanwhile. Stack: under 600 bytes. Fork: nothing to do. Failure: a
 * short stack with STACK_TRUNCATED; at least the caller is always there.
 */
#ifndef HEAPPROF_UNWIND_H
#define HEAPPROF_UNWIND_H

#include "core/arch/arch.h"
#include "core/compiler.h"
#include "core/stack_bounds.h"
#include "core/trail.h"

#include <stdbool.h>
#include <stdint.h>

/* The registers of the frame that called a hook, as they will be when the hook has returned. */
struct unwind_start {
  uintptr_t return_address;
  uintptr_t sp;
  uintptr_t bp;
};

/* Those of the caller of the function this stands in. */
#define UNWIND_START_HERE()                                                                                            \
  ((struct unwind_start){                                                                                              \
      .return_address = arch_strip(ARCH_CALLER_RETURN_ADDRESS), .sp = ARCH_CALLER_SP, .bp = ARCH_CALLER_BP})

/* Fills room->pcs, at most `depth` of them. *flags gets enum stack_flag. The caller calls trail_begin before and
 * trail_end after ... */
SAMPLED void unwind_walk(const struct unwind_start *start, struct stack_window *window, struct trail_cursor *trail,
                         struct walk_room *room, unsigned depth, uint32_t *flags);

/* ... and then this, unless trail_stack knows the stack, for frames that the last walk had to its end, too: they are
 * not recorded before. How many room->pcs there are. */
SAMPLED unsigned unwind_record_rest(const struct trail_cursor *trail, struct walk_room *room, unsigned depth);

/* The caller alone. */
unsigned unwind_caller(const struct unwind_start *start, uintptr_t *pcs, uint32_t *flags);

/* Is a signal handler under way on this stack? Also true where the stack does not tell. */
bool unwind_meets_handler(const struct unwind_start *start);

/* Frames in [low, high) are left out: our own code. From the constructor only. */
void unwind_hide(uintptr_t low, uintptr_t high);

#endif
