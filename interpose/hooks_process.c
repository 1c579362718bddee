/* SPDX-License-Identifier: MIT */
#include "interpose/hooks.h"

#include "core/arch/arch.h"
#include "core/cfi/readers.h"
#include "core/confinement.h"
#include "core/libc.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/process.h"
#include "core/rules.h"
#include "core/sampler.h"
#include "interpose/fallback.h"
#include "interpose/lifecycle.h"
#include "interpose/real.h"
#include "interpose/rebind.h"
#include "interpose/uncovered.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

/* dlopen chooses its search path by its caller. So this ends in a jump, and the caller stays the application. Until the
 * constructor has run, nothing is sampled that could be missed. */
static bool is_profiling(void)
{
  int mode = atomic_load_explicit(&sampler_mode, memory_order_acquire /* pairs with the constructor's store */);
  return mode == SAMPLER_ON || mode == SAMPLER_STOPPED;
}

/* musl's goes by the program's search path, whoever calls it. */
static NOINLINE ARCH_ENTRY void *open_in_musl(const char *file, int flags)
{
  loaded_begin_opening();
  void *handle = real.dlopen(file, flags);
  loaded_end_opening();
  return handle;
}

void *dlopen(const char *file, int flags)
{
  real_ensure();
  if (UNLIKELY(libc_is_musl()))
    JUMP return open_in_musl(file, flags);
  if ((UNLIKELY((flags & RTLD_DEEPBIND) != 0) || real_is_late()) && is_profiling())
    rebind_expect(ARCH_RETURN_ADDRESS_AT);
  JUMP return real.dlopen(file, flags);
}

/* Where to look for the file does not depend on the caller, so whether it was found can be seen from here. */
static NOINLINE ARCH_ENTRY void *open_apart(long space, const char *file, int flags)
{
  void *handle = real.dlmopen(space, file, flags);
  int saved_errno = errno;
  if (handle != NULL)
    uncovered_note(file, "dlmopen");
  errno = saved_errno;
  return handle;
}

static NOINLINE ARCH_ENTRY void note_apart(const char *file)
{
  int saved_errno = errno;
  uncovered_note(file, "dlmopen");
  errno = saved_errno;
}

/* A library that lies in a namespace of its own finds an allocator there, and none of the hooks. */
void *dlmopen(long space, const char *file, int flags)
{
  real_ensure();
  if (file == NULL || !is_profiling())
    JUMP return real.dlmopen(space, file, flags);
  if (space != LM_ID_BASE) {
    if (strchr(file, '/') != NULL && strchr(file, '$') == NULL)
      return open_apart(space, file, flags);
    note_apart(file);
  } else if ((flags & RTLD_DEEPBIND) != 0) {
    rebind_expect(ARCH_RETURN_ADDRESS_AT);
  }
  JUMP return real.dlmopen(space, file, flags);
}

/* It works on a handle, so it does not matter that the real function is called from here (unlike dlopen, whose search
 * path follows its caller). */
ARCH_ENTRY int dlclose(void *handle)
{
  real_ensure();
  readers_begin_unloading();
  int result = real.dlclose(handle);
  readers_end_unloading();
  int saved_errno = errno;
  if (is_profiling()) {
    if (process_is_settled())
      modules_check_unloaded();
    else /* a forked child may not write to its parent's region; it checks when it has its own */
      atomic_fetch_add(&rule_generation, 1);
  }
  errno = saved_errno;
  return result;
}

#define EXIT_HOOK(symbol)                                                                                              \
  ARCH_ENTRY void symbol(int status)                                                                                   \
  {                                                                                                                    \
    real_ensure();                                                                                                     \
    lifecycle_exit_by(#symbol, status);                                                                                \
    real.symbol(status);                                                                                               \
    __builtin_unreachable();                                                                                           \
  }

EXIT_HOOK(_exit)
EXIT_HOOK(_Exit)
EXIT_HOOK(quick_exit)

/* Both take a variable number of arguments; all that may be there are passed on. The last thing they do is a jump, so
 * that a call that returns twice (vfork) finds no frame of ours gone; only what gives something up is waited for, to
 * see what became of it.
 *
 * They never look the real ones up: allocators call them when they start, with a lock held, and a look-up that fails
 * allocates (hazard A7). Until the constructor has run, the bare system call is as good. */
typedef int prctl_function(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

static ALWAYS_INLINE prctl_function *next_prctl(void)
{
  return LIKELY(real.prctl != NULL) ? real.prctl : fallback_prctl;
}

/* It has no more parameters than come in registers: what comes by the stack would be written back for the jump, and a
 * thread that shares the caller's stack could have changed it meanwhile. */
typedef long syscall_function(ARCH_SYSCALL_PARAMETERS);

static ALWAYS_INLINE syscall_function *next_syscall(void)
{
  return LIKELY(real.syscall != NULL) ? real.syscall : fallback_syscall;
}

/* What the process gives up by a call: system calls but mmap, all of them, the processor's clock, or nothing. */
struct renounced {
  bool calls, every_call, clock;
};

static struct renounced renounced_by_prctl(long option, unsigned long value)
{
  return (struct renounced){
      .calls = option == PR_SET_SECCOMP,
      .every_call = option == PR_SET_SECCOMP && value == SECCOMP_MODE_STRICT,
      .clock = option == PR_SET_TSC && value == PR_TSC_SIGSEGV,
  };
}

static struct renounced renounced_by_syscall(long number, long operation, unsigned long value)
{
  if (number == SYS_prctl)
    return renounced_by_prctl(operation, value);
  return (struct renounced){
      .calls = operation == SECCOMP_SET_MODE_STRICT || operation == SECCOMP_SET_MODE_FILTER,
      .every_call = operation == SECCOMP_SET_MODE_STRICT,
  };
}

/* Returns what is to be taken back if the kernel refuses. */
static struct renounced renounce(struct renounced what)
{
  int saved_errno = errno;
  if (what.calls)
    what.calls = confinement_begin();
  if (what.every_call)
    confinement_begin_strict();
  if (what.clock)
    confinement_begin_clockless();
  errno = saved_errno;
  return what;
}

static void take_back(struct renounced what)
{
  if (what.calls)
    confinement_end();
  if (what.every_call)
    confinement_end_strict();
  if (what.clock)
    confinement_end_clockless();
}

static COLD ARCH_ENTRY int renouncing_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                                            unsigned long d)
{
  struct renounced what = renounce(renounced_by_prctl(option, a));
  int result = next_prctl()(option, a, b, c, d);
  if (result < 0)
    take_back(what);
  return result;
}

/* Of these calls none has more arguments. */
static COLD ARCH_ENTRY long renouncing_syscall(ARCH_SYSCALL_PARAMETERS)
{
  struct renounced what = renounce(renounced_by_syscall(number, a, (unsigned long)b));
  long result = next_syscall()(ARCH_SYSCALL_ARGUMENTS);
  if (result < 0)
    take_back(what);
  return result;
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
  if (UNLIKELY(option == PR_SET_SECCOMP || option == PR_SET_TSC))
    JUMP return renouncing_prctl(option, a, b, c, d);
  JUMP return next_prctl()(option, a, b, c, d);
}

long syscall(ARCH_SYSCALL_PARAMETERS)
{
  if (UNLIKELY(number == SYS_seccomp || (number == SYS_prctl && (a == PR_SET_SECCOMP || a == PR_SET_TSC))))
    JUMP return renouncing_syscall(ARCH_SYSCALL_ARGUMENTS);
  JUMP return next_syscall()(ARCH_SYSCALL_ARGUMENTS);
}
