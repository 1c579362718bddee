/* SPDX-License-Identifier: MIT */
#include "interpose/allocator_counters.h"

#include "core/on_stack.h"
#include "core/region.h"
#include "interpose/real.h"

typedef int mallctl_function(const char *name, void *old, size_t *old_size, void *new, size_t new_size);

static void ask(mallctl_function *mallctl, struct region_header *header)
{
  static const char *const names[ALLOCATOR_COUNTERS] = {
      [COUNTER_allocated] = "stats.allocated", [COUNTER_active] = "stats.active",
      [COUNTER_metadata] = "stats.metadata",   [COUNTER_resident] = "stats.resident",
      [COUNTER_mapped] = "stats.mapped",       [COUNTER_retained] = "stats.retained"};
  uint64_t epoch = 1;
  size_t size = sizeof epoch, value;
  if (mallctl("epoch", &epoch, &size, &epoch, sizeof epoch) != 0) /* counters are as of this call */
    return;
  for (unsigned i = 0; i < ALLOCATOR_COUNTERS; i++) {
    size = sizeof value;
    if (mallctl(names[i], &value, &size, NULL, 0) == 0)
      atomic_store_explicit(&header->allocator_counters[i], value, memory_order_relaxed);
  }
}

static void leave_aside(void *start)
{
  mallctl_function *mallctl = (mallctl_function *)real_allocator_function("mallctl");
  if (mallctl != NULL && !unwind_meets_handler(start))
    ask(mallctl, region_header());
}

void allocator_counters_leave(const struct unwind_start *start)
{
  enum { STACK_BYTES = 128 << 10 };
  if (region_is_own() && region_header()->parent_pid == 0 && sys_may_call(SYS_rt_sigprocmask))
    (void)on_fresh_stack(leave_aside, (void *)(uintptr_t)start, STACK_BYTES);
}
