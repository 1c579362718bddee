/* SPDX-License-Identifier: MIT */
/* What we use of libc beyond ISO C and POSIX. All of it is weak: a preloaded library reaches programs of other libcs,
 * and one name that is missing there keeps them from starting. Where loader_is_known says no, the shim stands aside.
 * What musl lacks may not be called without checking that it is there. tests/policy holds the list.
 */
#ifndef HEAPPROF_LIBC_H
#define HEAPPROF_LIBC_H

#include "core/arch/arch.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#pragma weak _r_debug
#pragma weak dlsym
#pragma weak getauxval
#pragma weak on_exit
#pragma weak program_invocation_name
#pragma weak program_invocation_short_name
#pragma weak __register_atfork
#pragma weak __sbrk

/* Before glibc 2.34 it is libdl's, which need not be loaded. A version that came later would keep programs from
 * starting there. */
ARCH_FIRST_VERSION(dlsym);

/* What pthread_atfork calls, which itself is linked into each library and would name this strongly. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);

/* sbrk, past whoever interposes it, us for one. */
extern void *__sbrk(intptr_t change);

/* musl has no such function, and says nowhere what it is. */
static inline bool libc_is_musl(void)
{
  return __register_atfork == NULL;
}

static inline unsigned long libc_auxv(unsigned long type)
{
  return getauxval != NULL ? getauxval(type) : 0;
}

/* In the words of the C library, which has no way to tell them without a lock before glibc 2.32. NULL: a rare one. */
static inline const char *libc_error_text(int number)
{
  switch (number) {
  case EPERM: return "Operation not permitted";
  case ENOENT: return "No such file or directory";
  case EIO: return "Input/output error";
  case ENOMEM: return "Cannot allocate memory";
  case EACCES: return "Permission denied";
  case EEXIST: return "File exists";
  case ENOTDIR: return "Not a directory";
  case EISDIR: return "Is a directory";
  case EINVAL: return "Invalid argument";
  case ENFILE: return "Too many open files in system";
  case EMFILE: return "Too many open files";
  case EFBIG: return "File too large";
  case ENOSPC: return "No space left on device";
  case EROFS: return "Read-only file system";
  case ENAMETOOLONG: return "File name too long";
  case ELOOP: return "Too many levels of symbolic links";
  case EDQUOT: return "Disk quota exceeded";
  default: return NULL;
  }
}

#endif
