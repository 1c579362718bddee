/* SPDX-License-Identifier: MIT */
#include "core/confinement.h"

#include "core/cfi/objects.h"
#include "core/process.h"
#include "core/region.h"
#include "core/resident.h"
#include "core/stack_bounds.h"
#include "core/sys.h"
#include "core/timing.h"

_Atomic unsigned sys_filters, sys_strict_filters, sys_clock_refusals;

static bool is_vfork_child(const struct region_header *header)
{
  int pid = sys_getpid(); /* refused: another filter was noted before */
  return process_is_settled() && pid > 0 && header->pid != (uint32_t)pid;
}

bool confinement_begin(void)
{
  struct region_header *header = region_header();
  if (header != NULL && is_vfork_child(header))
    return false;
  stack_bounds_foresee((uintptr_t)__builtin_frame_address(0));
  if (header != NULL && region_is_own()) {
    (void)timing_sampling_ns(); /* stores the speed of the clock for readers of the file; there is no later chance */
    resident_leave_aside();
    if (atomic_load(&header->stacks) == 0)
      region_remove_file();
    else
      objects_foresee();
  }
  atomic_fetch_add(&sys_filters, 1);
  return true;
}

void confinement_end(void)
{
  atomic_fetch_sub(&sys_filters, 1);
}

void confinement_begin_clockless(void)
{
  atomic_fetch_add(&sys_clock_refusals, 1);
}

void confinement_end_clockless(void)
{
  atomic_fetch_sub(&sys_clock_refusals, 1);
}

void confinement_begin_strict(void)
{
  confinement_begin_clockless();
  atomic_fetch_add(&sys_strict_filters, 1);
}

void confinement_end_strict(void)
{
  atomic_fetch_sub(&sys_strict_filters, 1);
  confinement_end_clockless();
}
