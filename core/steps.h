/* SPDX-License-Identifier: MIT */
/* Steps from a frame to its caller's that are not usual: a rule that is not in the cache yet, a loaded CFA, a signal,
 * no unwind information at all.
 *
 * Threads, signals: safe. Stack: what they call of cfi/, and 200 bytes. Failure: the stack ends, and the step says why.
 */
#ifndef HEAPPROF_STEPS_H
#define HEAPPROF_STEPS_H

#include "core/stack_bounds.h"

#include <stdint.h>

/* A frame: the pc to look its rule up with, and the registers that rules speak of. */
struct frame {
  uintptr_t pc;
  uintptr_t sp;
  uintptr_t bp; /* or FRAME_BP_LOST */
};

#define FRAME_BP_LOST ((uintptr_t)1) /* misaligned: no usual step can count from it */

enum step {
  STEP_CALLER,
  STEP_UNUSUAL,    /* none was made: ask step_unusually */
  STEP_OUT,        /* that was the outermost frame, by its rule */
  STEP_END,        /* that was the outermost frame: by its rule it returns to 0 */
  STEP_LOST,       /* no rule leads on */
  STEP_UNREADABLE, /* one does, to where nothing can be read */
  STEP_FULL,       /* there is a caller, but no room for it */
};

/* From `frame` to its caller's. *flags gets STACK_FRAME_POINTERS. */
enum step step_unusually(struct stack_window *window, struct frame *frame, uint32_t *flags);

#endif
