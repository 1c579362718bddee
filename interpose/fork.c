/* SPDX-License-Identifier: MIT */
#include "interpose/fork.h"

#include "core/arch/arch.h"
#include "core/libc.h"
#include "core/loader/loaded.h"
#include "core/mappings/mapping_table.h"
#include "core/modules.h"
#include "core/region.h"
#include "core/settle.h"
#include "interpose/loader.h"
#include "interpose/rebind.h"

enum { MOMENTS = 100 };

static bool holds_modules, holds_growth, holds_rebind;

static bool take(struct lock *lock)
{
  for (int moment = 0; moment < MOMENTS; moment++)
    if (lock_try_for_a_moment(lock))
      return true;
  return false;
}

/* In the order of modules_find, which may grow the region. */
static ARCH_ENTRY void before_fork(void)
{
  holds_modules = take(&modules_lock);
  holds_growth = take(&region_growth_lock);
  holds_rebind = take(&rebind_lock);
}

static ARCH_ENTRY void release(void)
{
  if (holds_rebind)
    lock_release(&rebind_lock);
  if (holds_growth)
    lock_release(&region_growth_lock);
  if (holds_modules)
    lock_release(&modules_lock);
}

/* What another thread of the parent held is free here in any case: see lock.h. */
static ARCH_ENTRY void after_fork_in_child(void)
{
  settle_was_forked();
  loaded_was_forked();
  rebind_was_forked();
  mapping_table_was_forked();
  release();
}

extern HIDDEN char __ehdr_start[];

void fork_init(void)
{
  typedef int at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
  at_fork *of_musl = __register_atfork == NULL ? (at_fork *)loader_find("pthread_atfork") : NULL;
  if (of_musl != NULL)
    (void)of_musl(before_fork, release, after_fork_in_child);
  else if (__register_atfork != NULL)
    (void)__register_atfork(before_fork, release, after_fork_in_child, __ehdr_start);
}
