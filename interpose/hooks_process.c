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
 * twice (vfork) finds no frame of ours gone; only what confines the process is waited for, to see what became of it.
 *
 * They never look the real ones up: allocators call them when they start, with a lock held, and a look-up that fails allocates
 * (hazard A7). Until the constructor has run, the bare system call is as good. */
static ALWAYS_INLINE int go_on_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  return LIKELY(real.prctl != NULL) ? real.prctl(option, a, b, c, d) : fallback_prctl(option, a, b, c, d);
}

static ALWAYS_INLINE long go_on_syscall(long number, long a, long b, long c, long d, long e, long f)
{
  return LIKELY(real.syscall != NULL) ? real.syscall(number, a, b, c, d, e, f)
                                      : fallback_syscall(number, a, b, c, d, e, f);
}

static bool begin_confinement(void)
{
  int saved_errno = errno;
  bool is_noted = confinement_begin();
  errno = saved_errno;
  return is_noted;
}

static COLD int confining_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  bool is_noted = begin_confinement();
  int result = go_on_prctl(option, a, b, c, d);
  if (is_noted && result < 0)
    confinement_end();
  return result;
}

static COLD long confining_syscall(long number, long a, long b, long c, long d, long e, long f)
{
  bool is_noted = begin_confinement();
  long result = go_on_syscall(number, a, b, c, d, e, f);
  if (is_noted && result < 0)
    confinement_end();
  return result;
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  if (UNLIKELY(option == PR_SET_SECCOMP))
    return confining_prctl(option, a, b, c, d);
  return go_on_prctl(option, a, b, c, d);
}

static bool confines(long number, long operation)
{
  return number == SYS_prctl ? operation == PR_SET_SECCOMP
                             : operation == SECCOMP_SET_MODE_STRICT || operation == SECCOMP_SET_MODE_FILTER;
}

long syscall(long number, long a, long b, long c, long d, long e, long f)
{
  if (UNLIKELY(number == SYS_seccomp || number == SYS_prctl) && confines(number, a))
    return confining_syscall(number, a, b, c, d, e, f);
  return go_on_syscall(number, a, b, c, d, e, f);
}
