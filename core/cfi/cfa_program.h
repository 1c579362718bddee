/* SPDX-License-Identifier: MIT */
/* Call frame instructions: from an entry of .eh_frame to the row of a pc in it.
 *
 * A state that was remembered is not stored: what lies between remembering and restoring it is skipped, if the pc lies
 * behind that, and else the state is never asked for. So nesting is as deep as anybody likes.
 *
 * Threads, signals, fork: as eh_frame.h. Stack: under 200 bytes. Time: bounded by CFA_PROGRAM_STEPS_MAX instructions.
 * Failure: false, for instructions that are not known or not well-formed.
 */
#ifndef HEAPPROF_CFI_CFA_PROGRAM_H
#define HEAPPROF_CFI_CFA_PROGRAM_H

#include "core/cfi/eh_frame.h"
#include "core/cfi/row.h"

/* Of all instructions, skipped ones included: some milliseconds at worst. */
enum { CFA_PROGRAM_STEPS_MAX = 1 << 18 };

struct cfa_machine {
  struct eh_frame_entry entry;      /* whose program is run */
  struct cfi_row row;               /* what comes out */
  uint32_t initial[ARCH_CFI_SLOTS]; /* what DW_CFA_restore goes back to: the rules that the CIE leaves */
  uintptr_t location;
  int32_t cfa_offset; /* the last that was said */
  uint32_t steps;
};

/* The three parts of cfa_program_run: separate, so that none has another one's frame above it. The program is run as
 * far as it speaks of the pc. False: it is not well-formed; restoring what was not remembered is not, either. */
void cfa_machine_start(struct cfa_machine *machine);
bool cfa_machine_run(struct cfa_machine *machine, struct bytes program, uintptr_t pc);
void cfa_machine_go_on(struct cfa_machine *machine);

/* The programs of machine->entry are read inside of the span only. */
static inline bool cfa_program_run(const struct eh_frame_span *span, uintptr_t pc, struct cfa_machine *machine)
{
  cfa_machine_start(machine);
  if (!cfa_machine_run(machine, bytes_clipped(machine->entry.shared_program, span->low, span->high), pc))
    return false;
  cfa_machine_go_on(machine);
  return cfa_machine_run(machine, bytes_clipped(machine->entry.program, span->low, span->high), pc) &&
         machine->row.cfa_register != CFI_CFA_UNDEFINED;
}

#endif
