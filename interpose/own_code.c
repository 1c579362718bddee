/* SPDX-License-Identifier: MIT */
#include "interpose/own_code.h"

#include "core/compiler.h"

extern HIDDEN const char __ehdr_start[], _end[];

struct address_range own_code(void)
{
  return (struct address_range){(uintptr_t)__ehdr_start, (uintptr_t)_end};
}
