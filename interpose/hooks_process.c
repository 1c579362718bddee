/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "core/confinement.h"
#include "core/modules.h"
#include "core/process.h"
#include "core/rules.h"
#include "core/sampler.h"
#include "interpose/fallback.h"
#include "interpose/lifecycle.h"
#include "interpose/real.h"

#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

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

static COLD void begin_confinement(void)
{
  int saved_errno = errno;
  confinement_begin();
  errno = saved_errno;
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

/* Both take arguments by need; all that may be there are handed on. The last thing they do is a jump, so that a call that returns
 * twice (vfork) finds no frame of ours gone.
 *
 * They never look the real ones up: allocators call them when they start, with a lock held, and a look-up that fails allocates
 * (hazard A7). Until the constructor has run, the bare system call is as good. */
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  if (option == PR_SET_SECCOMP)
    begin_confinement();
  return LIKELY(real.prctl != NULL) ? real.prctl(option, a, b, c, d) : fallback_prctl(option, a, b, c, d);
}

long syscall(long number, long a, long b, long c, long d, long e, long f)
{
  /* A filter that is NULL is a question: which operations are there? */
  if (number == SYS_seccomp && (a == SECCOMP_SET_MODE_STRICT || (a == SECCOMP_SET_MODE_FILTER && c != 0)))
    begin_confinement();
  return LIKELY(real.syscall != NULL) ? real.syscall(number, a, b, c, d, e, f)
                                      : fallback_syscall(number, a, b, c, d, e, f);
}
