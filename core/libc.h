/* SPDX-License-Identifier: MIT */
/* What we use of libc beyond ISO C and POSIX. All of it is weak: a preloaded library reaches programs of other libcs,
 * and one name that is missing there keeps them from starting. Where libc_is_known says no, the shim stands aside. What
 * musl lacks may not be called without checking that it is there. tests/policy holds the list.
 */
#ifndef HEAPPROF_LIBC_H
#define HEAPPROF_LIBC_H

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#pragma weak _dl_find_object
#pragma weak dladdr
#pragma weak dladdr1
#pragma weak getauxval
#pragma weak on_exit
#pragma weak program_invocation_name
#pragma weak program_invocation_short_name
#pragma weak strerrordesc_np
#pragma weak __register_atfork
#pragma weak __sbrk

/* What pthread_atfork calls, which itself is linked into each library and would name this strongly. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);

/* sbrk, past whoever interposes it, us for one. */
extern void *__sbrk(intptr_t change);

/* musl has neither of glibc's two, and says nowhere what it is. */
static inline bool libc_is_musl(void)
{
  return dladdr1 == NULL && __register_atfork == NULL;
}

static inline bool libc_is_known(void)
{
  return dladdr != NULL && getauxval != NULL && &program_invocation_name != NULL &&
         &program_invocation_short_name != NULL && (libc_is_musl() || (dladdr1 != NULL && __register_atfork != NULL));
}

static inline unsigned long libc_auxv(unsigned long type)
{
  return getauxval != NULL ? getauxval(type) : 0;
}

/* NULL: it has none. */
static inline const char *libc_error_text(int number)
{
  return strerrordesc_np != NULL ? strerrordesc_np(number) : NULL;
}

#endif
