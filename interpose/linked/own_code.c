/* SPDX-License-Identifier: MIT */
#include "interpose/own_code.h"

#include "core/compiler.h"

extern HIDDEN const char heapprof_code_begin[], heapprof_code_end[]; /* join.ld */

struct address_range own_code(void)
{
  return (struct address_range){(uintptr_t)heapprof_code_begin, (uintptr_t)heapprof_code_end};
}
