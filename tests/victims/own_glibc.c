/* SPDX-License-Identifier: MIT */
/* What malloc.o of libc.a wants to be whole in a program that is linked with the shared libc. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

__thread int __libc_errno __attribute__((tls_model("initial-exec")));
int __libc_enable_secure;
size_t _dl_pagesize = 4096;
void *__curbrk;

void __libc_message(int action, const char *format, ...)
{
  (void)action, (void)format;
  abort();
}

void __tunable_get_val(unsigned id, void *value, void (*use)(void *))
{
  (void)id, (void)value, (void)use; /* none is set */
}

void __lll_lock_wait_private(_Atomic int *lock)
{
  while (atomic_exchange(lock, 2) != 0)
    (void)syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}

void __lll_lock_wake_private(_Atomic int *lock)
{
  (void)syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1);
}

unsigned long __malloc_default_thp_pagesize(void)
{
  return 0;
}

int __malloc_thp_mode(void)
{
  return 2; /* not supported */
}

void __malloc_hugepage_config(size_t requested, size_t *page_size, int *flags)
{
  (void)requested;
  *page_size = 0;
  *flags = 0;
}

int __clock_gettime(clockid_t clock, struct timespec *time)
{
  return clock_gettime(clock, time);
}

int __close_nocancel(int file)
{
  return close(file);
}

int __open_nocancel(const char *path, int flags)
{
  return open(path, flags);
}

ssize_t __read_nocancel(int file, void *bytes, size_t size)
{
  return read(file, bytes, size);
}

int __get_nprocs(void)
{
  return get_nprocs();
}

ssize_t __getrandom(void *bytes, size_t size, unsigned flags)
{
  return getrandom(bytes, size, flags);
}

int __madvise(void *address, size_t size, int advice)
{
  return madvise(address, size, advice);
}

void *__mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
  return mmap(address, size, protection, flags, file, offset);
}

int __mprotect(void *address, size_t size, int protection)
{
  return mprotect(address, size, protection);
}

void *__mremap(void *old, size_t old_size, size_t new_size, int flags)
{
  return mremap(old, old_size, new_size, flags);
}

int __munmap(void *address, size_t size)
{
  return munmap(address, size);
}

void *__sbrk(ptrdiff_t change)
{
  return sbrk(change);
}

int _IO_fputs(const char *text, void *stream)
{
  (void)text, (void)stream;
  return -1;
}

int own_fprintf(void *stream, const char *format, ...)
{
  (void)stream, (void)format;
  return -1;
}

void *own_memset(void *bytes, int value, size_t size)
{
  return memset(bytes, value, size);
}
