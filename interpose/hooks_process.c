/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "core/modules.h"
#include "core/process.h"
#include "core/rules.h"
#include "core/sampler.h"
#include "interpose/lifecycle.h"
#include "interpose/real.h"

#include <errno.h>

/* It works on a handle, so it does not matter that the real function is called from here (unlike dlopen, whose search path follows
 * its caller). */
int dlclose(void *handle)
{
  real_ensure();
  int result = real.dlclose(handle);
  int mode = atomic_load_explicit(&sampler_mode, memory_order_relaxed), saved_errno = errno;
  if (mode == SAMPLER_ON || mode == SAMPLER_STOPPED) {
    if (process_is_settled())
      modules_check_unloaded();
    else /* a forked child may not write to its parent's region; it checks when it has its own */
      atomic_fetch_add(&rule_generation, 1);
  }
  errno = saved_errno;
  return result;
}

#define EXIT_HOOK(symbol)                                                                                              \
  void symbol(int status)                                                                                              \
  {                                                                                                                    \
    real_ensure();                                                                                                     \
    lifecycle_exit(#symbol);                                                                                           \
    real.symbol(status);                                                                                               \
    __builtin_unreachable();                                                                                           \
  }

EXIT_HOOK(_exit)
EXIT_HOOK(_Exit)
EXIT_HOOK(quick_exit)
