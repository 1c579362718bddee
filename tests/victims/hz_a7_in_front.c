/* SPDX-License-Identifier: MIT */
/* A7: what a sanitizer's runtime looks like from outside: functions of libc that are its own, which crash before it is ready, and
 * the one that tells it from others. */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
  (void)callback, (void)data;
  __builtin_trap();
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library)
{
  (void)prepare, (void)parent, (void)child, (void)library;
  return 0;
}

size_t __sanitizer_get_allocated_size(const void *pointer)
{
  return pointer == NULL;
}
