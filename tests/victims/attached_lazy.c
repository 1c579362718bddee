/* SPDX-License-Identifier: MIT */
/* A library whose call of malloc is bound when it is made first. */
#include <stdlib.h>

void *lazy_make(size_t size);

void *lazy_make(size_t size)
{
  void *volatile made = malloc(size);
  return made;
}
