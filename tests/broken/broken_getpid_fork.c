/* SPDX-License-Identifier: MIT */
/* P1: takes a vfork child for a forked one, as its pid is another, and forgets its parent's table, in the same memory. */
#include <unistd.h>
static int owner;
static void forget(void);
#define MINI_TABLE
#define MINI_ON_LOAD owner = getpid()
#define MINI_ON_ALLOC(size)                                                                                            \
  if ((size) && owner && getpid() != owner)                                                                            \
  forget()
#include "mini_shim.h"
static void forget(void)
{
  owner = getpid();
  memset(buckets, 0, sizeof buckets);
}
