/* SPDX-License-Identifier: MIT */
/* U8: asks glibc where the stack ends, from inside malloc. */
#define _GNU_SOURCE
#include <pthread.h>
static void stack_end(void)
{
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0)
    pthread_attr_destroy(&attributes);
}
#define MINI_ON_ALLOC(size) ((void)(size), stack_end())
#include "mini_shim.h"
