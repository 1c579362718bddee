/* SPDX-License-Identifier: MIT */
/* Allocator row 6: calloc as malloc and memset, without a look at the product. */
#define MINI_OWN_CALLOC
#include "mini_shim.h"
void *calloc(size_t count, size_t size)
{
  volatile char *p = malloc(count * size); /* volatile: or gcc makes it a call of calloc */
  for (size_t i = 0; p && i < count * size; i++)
    p[i] = 0;
  return (void *)p;
}
