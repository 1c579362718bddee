/* SPDX-License-Identifier: MIT */
/* System calls as the kernel offers them: errno is never touched, no call is a cancellation point, and no interposed
 * libc function is run. Every function returns the kernel's value, or -errno.
 *
 * Behind a seccomp filter that the program put over itself, a call that it does not make itself may end it (hazard P8).
 * From then on only memory is asked for; everything else answers -EPERM, and its caller does without, as after any
 * other refusal.
 *
 * Threads, signals, fork: safe everywhere.
 */
#ifndef HEAPPROF_SYS_H
#define HEAPPROF_SYS_H

#include "core/arch/arch.h"
#include "core/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

/* Filters that are installed, or about to be, and those among them that let not even mmap pass (confinement.h). */
extern HIDDEN _Atomic unsigned sys_filters, sys_strict_filters;

static inline bool sys_may_call(long number)
{
  return LIKELY(atomic_load_explicit(&sys_filters, memory_order_relaxed) == 0) ||
         (number == SYS_mmap && atomic_load_explicit(&sys_strict_filters, memory_order_relaxed) == 0);
}

/* How often reading the processor's clock was forbidden (confinement.h): it kills then, in the vDSO, too. */
extern HIDDEN _Atomic unsigned sys_clock_refusals;

static inline bool clock_is_refused(void)
{
  return UNLIKELY(atomic_load_explicit(&sys_clock_refusals, memory_order_relaxed) != 0);
}

/* For a call that is the program's own. */
static inline long sys_call_always(long number, long a, long b, long c, long d, long e, long f)
{
  return arch_sys_call(number, a, b, c, d, e, f);
}

static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
  return sys_may_call(number) ? sys_call_always(number, a, b, c, d, e, f) : -EPERM;
}

static inline int sys_open(const char *path, int flags, unsigned mode)
{
  return (int)sys_call(SYS_openat, AT_FDCWD, (long)path, flags, (long)mode, 0, 0);
}

static inline int sys_close(int fd)
{
  return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_write(int fd, const void *bytes, size_t size)
{
  return sys_call(SYS_write, fd, (long)bytes, (long)size, 0, 0, 0);
}

static inline long sys_pread(int fd, void *bytes, size_t size, uint64_t offset)
{
  return sys_call(SYS_pread64, fd, (long)bytes, (long)size, (long)offset, 0, 0);
}

static inline int sys_fstat(int fd, struct stat *status)
{
  return (int)sys_call(SYS_fstat, fd, (long)status, 0, 0, 0, 0);
}

static inline int sys_stat(const char *path, struct stat *status)
{
  return (int)sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)status, 0, 0, 0);
}

static inline int sys_lstat(const char *path, struct stat *status)
{
  return (int)sys_call(SYS_newfstatat, AT_FDCWD, (long)path, (long)status, AT_SYMLINK_NOFOLLOW, 0, 0);
}

/* Is the file in a file system that lives in memory, so that none of its files is from before boot? */
static inline bool sys_is_in_memory(const char *path)
{
  enum { TMPFS = 0x01021994 };
  struct statfs status;
  return sys_call(SYS_statfs, (long)path, (long)&status, 0, 0, 0, 0) == 0 && status.f_type == TMPFS;
}

static inline int sys_ftruncate(int fd, uint64_t size)
{
  return (int)sys_call(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0);
}

static inline int sys_fallocate(int fd, uint64_t offset, uint64_t size)
{
  return (int)sys_call(SYS_fallocate, fd, 0, (long)offset, (long)size, 0, 0);
}

static inline int sys_unlink(const char *path)
{
  return (int)sys_call(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

static inline int sys_mkdir(const char *path, unsigned mode)
{
  return (int)sys_call(SYS_mkdirat, AT_FDCWD, (long)path, (long)mode, 0, 0, 0);
}

static inline int sys_link(const char *from, const char *to)
{
  return (int)sys_call(SYS_linkat, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

/* Fails with -EEXIST rather than replace; -EINVAL where the file system can't tell. */
static inline int sys_rename_noreplace(const char *from, const char *to)
{
  return (int)sys_call(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 1 /* RENAME_NOREPLACE */, 0);
}

static inline long sys_getcwd(char *path, size_t size)
{
  return sys_call(SYS_getcwd, (long)path, (long)size, 0, 0, 0, 0);
}

static inline long sys_readlink(const char *path, char *target, size_t size)
{
  return sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, (long)size, 0, 0);
}

static inline int sys_getpid(void)
{
  return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline unsigned sys_geteuid(void)
{
  return (unsigned)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_get_limit(int resource, struct rlimit *limit)
{
  return (int)sys_call(SYS_prlimit64, 0, resource, 0, (long)limit, 0, 0);
}

static inline void *sys_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset)
{
  long result = sys_call(SYS_mmap, (long)address, (long)size, protection, flags, fd, (long)offset);
  return (unsigned long)result > -4096ul ? NULL : (void *)result;
}

static inline void *sys_map_anonymous(size_t size)
{
  return sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static inline int sys_munmap(void *address, size_t size)
{
  return (int)sys_call(SYS_munmap, (long)address, (long)size, 0, 0, 0, 0);
}

/* Moves a mapping onto `to` in one step: whoever reads there sees the old bytes or the new ones, never a hole. */
static inline bool sys_move_mapping(void *from, size_t size, void *to)
{
  return sys_call(SYS_mremap, (long)from, (long)size, (long)size, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0) ==
         (long)to;
}

static inline int sys_madvise(void *address, size_t size, int advice)
{
  return (int)sys_call(SYS_madvise, (long)address, (long)size, advice, 0, 0, 0);
}

static inline uint64_t clock_ns(clockid_t clock)
{
  struct timespec now = {0, 0};
  if (clock_is_refused())
    (void)sys_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
  else
    clock_gettime(clock, &now); /* the vDSO's: no lock, mostly no system call */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Processor time of all threads of the process; 0: the call may not be made. */
static inline uint64_t sys_cpu_ns(void)
{
  struct timespec now;
  if (sys_call(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, (long)&now, 0, 0, 0, 0) != 0)
    return 0;
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Can 8 bytes at `address` be read? The kernel copies the new mask in before it rejects the impossible `how`, so the
 * call answers EFAULT or EINVAL and changes nothing. No descriptor is needed. (The trick is Abseil's.) Where a seccomp
 * filter, ours or one from before exec, answers instead, nothing counts as readable. */
static inline bool sys_is_readable(uintptr_t address)
{
  enum { FIRST_PAGE_BYTES = 4096 }; /* of NULL the kernel takes no notice */
  return address >= FIRST_PAGE_BYTES && sys_call(SYS_rt_sigprocmask, -1, (long)address, 0, 8, 0, 0) == -EINVAL;
}

#endif
