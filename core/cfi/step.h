/* SPDX-License-Identifier: MIT */
/* A step of the careful walk: from all known registers of a frame to those of its caller, by its row of unwind
 * information, whatever that asks for. The quick walk has sp and bp alone (rules.h).
 *
 * Threads, signals, fork: as cfi_compile. Stack: under 400 bytes. No memory but that of the loaded objects is read
 * beside the stack window.
 */
#ifndef HEAPPROF_CFI_STEP_H
#define HEAPPROF_CFI_STEP_H

#include "core/arch/arch.h"
#include "core/cfi/recipes.h"
#include "core/stack_bounds.h"

#include <stdbool.h>
#include <stdint.h>

/* By DWARF number. The return address's is the pc, which lies inside the calling instruction unless the frame was
 * interrupted by a signal. */
struct cfi_registers {
  uint64_t known;      /* a bit each */
  bool is_interrupted; /* by a signal, after the last step; before, it need not be set */
  uintptr_t values[ARCH_DWARF_REGISTERS];
};

enum cfi_step {
  CFI_STEP_CALLER,     /* registers are the caller's */
  CFI_STEP_OUTERMOST,  /* there is no caller, says the row */
  CFI_STEP_END,        /* the frame returns to address 0 */
  CFI_STEP_NO_ROW,     /* there is no unwind information that can be read */
  CFI_STEP_UNKNOWN,    /* the row asks for a register that is not known */
  CFI_STEP_UNREADABLE, /* or for memory that is not on a stack that can be read */
};

/* Where a signal's handler returns to, the interrupted registers are read from the kernel's frame (ARCH_SIGNAL_*): this
 * says CFI_STEP_NO_ROW. Unless it says CFI_STEP_CALLER or _END, registers are what they were. */
enum cfi_step cfi_step(struct cfi_registers *registers, struct stack_window *window);

/* The same by the recipe of a row. Stack: under 128 bytes. */
enum cfi_step cfi_step_by_recipe(const struct recipe *recipe, struct cfi_registers *registers,
                                 struct stack_window *window);

#endif
