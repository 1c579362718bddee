/* SPDX-License-Identifier: MIT */
/* What a JIT tells the C runtime of the code that it made. errno is what the real one left: nothing of ours sets it.
 *
 * The runtime's other functions for this, such as __register_frame_info, are left alone. JITs do not call them. Start
 * files of objects without an .eh_frame_hdr do, if somebody has them: they would call ours where there is no runtime,
 * and one that came in meanwhile ends the program (gcc_assert) when it hears of the end of what it was never told. */
#include "interpose/hooks.h"

#include "core/arch/arch.h"
#include "core/cfi/registered.h"
#include "core/sampler.h"
#include "interpose/fallback.h"
#include "interpose/provider.h"
#include "interpose/real.h"

typedef void frames_function(void *begin);

/* The runtime may be a plug-in's alone. Without the real function, no exception would pass through that code. */
static void go_on(frames_function *next, frames_function *fallback, const char *symbol, uintptr_t caller, void *begin)
{
  void *found = next == fallback ? provider_find(caller, symbol) : NULL;
  if (found != NULL)
    *(void **)&next = found;
  next(begin);
}

ARCH_ENTRY void __register_frame(void *begin)
{
  real_ensure();
  go_on(real.__register_frame, fallback___register_frame, "__register_frame", ARCH_CALLER_RETURN_ADDRESS, begin);
  if (atomic_load_explicit(&sampler_mode, memory_order_relaxed) != SAMPLER_INERT)
    registered_add((uintptr_t)begin);
}

ARCH_ENTRY void __deregister_frame(void *begin)
{
  real_ensure();
  registered_remove((uintptr_t)begin);
  go_on(real.__deregister_frame, fallback___deregister_frame, "__deregister_frame", ARCH_CALLER_RETURN_ADDRESS, begin);
}
