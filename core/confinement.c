/* SPDX-License-Identifier: MIT */
#include "core/confinement.h"

#include "core/dump.h"
#include "core/process.h"
#include "core/region.h"
#include "core/sys.h"

_Atomic bool sys_is_confined;

static bool is_vfork_child(const struct region_header *header)
{
  return process_is_settled() && header->pid != (uint32_t)sys_getpid();
}

void confinement_begin(void)
{
  struct region_header *header = region_header();
  if (header != NULL && is_vfork_child(header))
    return;
  if (header != NULL && process_owns_region()) {
    (void)dump_sampling_ns(); /* leaves the speed of the clock to readers of the file: they cannot be told later */
    if (atomic_load(&header->stacks) == 0)
      region_remove_file();
  }
  atomic_store(&sys_is_confined, true);
}
