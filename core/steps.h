/* SPDX-License-Identifier: MIT */
/* Steps from a frame to its caller's that are not usual: a rule that is not in the cache yet, a loaded CFA, a signal,
 * no unwind information at all, and rules that ask for more registers than a walk carries.
 *
 * For those the way from here to that frame is gone once more, with all registers that functions preserve
 * (cfi/step.h): our own frames first, which saved those of the hook's caller. From there on it keeps up with the walk,
 * in case more such frames come. It goes by recipes, which are cached (cfi/recipes.h), without a system call; only what
 * no recipe says is read from its row, on a stack of the walk's room.
 *
 * Threads: a room has one user at a time (trail.h). Signals: blocked while on that stack; where they can't be (sys.h),
 * that step is not made. A handler that took the room over leaves registers of its own, and no read leaves the window.
 * Stack: 480 bytes. Failure: the stack ends, and the step says why.
 */
#ifndef HEAPPROF_STEPS_H
#define HEAPPROF_STEPS_H

#include "core/cfi/recipes.h"
#include "core/cfi/step.h"
#include "core/compiler.h"
#include "core/stack_bounds.h"

#include <stdbool.h>
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

/* Of a walk: all registers of a frame that the careful way has come to, and a stack for what no recipe says. */
struct careful {
  bool is_under_way;
  struct cfi_registers registers;
  struct recipe recipe; /* of the frame that they are of */
  char stack[4096] __attribute__((aligned(16)));
};

/* Has the kernel made the frame of this pc, for a handler? */
bool step_is_over_signal(uintptr_t pc);

/* From `frame` to its caller's. *flags gets STACK_FRAME_POINTERS. `careful` is of the walk that `frame` is of, which
 * the caller of this is about. */
SAMPLED enum step step_unusually(struct stack_window *window, struct frame *frame, struct careful *careful,
                                 uint32_t *flags);

#endif
