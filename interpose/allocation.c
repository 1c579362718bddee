/* SPDX-License-Identifier: MIT */
#include "interpose/allocation.h"

#include "core/record.h"
#include "core/settle.h"

void allocation_finish(void *pointer, size_t size, const struct sampler_decision *decision,
                       const struct unwind_start *start)
{
  if (pointer == NULL) {
    if (decision->is_sampled) {
      settle_begin();
      record_exact_units(decision->units_counted - ((uint64_t)size + 1));
    }
    return;
  }
  if (!decision->is_sampled)
    return;
  record_allocation(pointer, size, start, decision);
}

struct request request_begin(size_t size, bool is_counted)
{
  struct request request = {.size = size, .is_counted = is_counted};
  if (is_counted && sampler_count_down(size)) {
    request.is_due = true;
    request.decision = sampler_decide(size);
  }
  return request;
}

void request_end(const struct request *request, void *pointer, const struct unwind_start *start)
{
  if (!request->is_counted)
    return;
  if (request->is_due)
    allocation_finish(pointer, request->size, &request->decision, start);
  else if (pointer == NULL)
    this_thread.countdown += (uint64_t)request->size + 1; /* it failed: take the count back */
}

struct resize resize_begin(void *pointer)
{
  struct resize resize = {.pointer = pointer, .was_live = false};
  if (UNLIKELY(live_filter_may_hold(pointer)))
    resize.was_live = record_take(pointer, &resize.entry);
  return resize;
}

void resize_end(const struct resize *resize, bool is_freed)
{
  if (!resize->was_live)
    return;
  if (is_freed)
    record_taken_was_freed(resize->entry);
  else
    record_put_back(resize->pointer, resize->entry);
}
