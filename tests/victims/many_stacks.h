/* SPDX-License-Identifier: MIT */
/* Allocations from as many call stacks as one likes: each bit of `path` says which of two functions calls the next. */
#ifndef MANY_STACKS_H
#define MANY_STACKS_H

#include <stdlib.h>

enum { MANY_STACKS_DEPTH = 20 }; /* up to 2^20 stacks */

static void *many_stacks_one_side(unsigned path, int depth);
static void *many_stacks_other_side(unsigned path, int depth);

__attribute__((noinline)) static void *many_stacks_turn(unsigned path, int depth)
{
  if (depth == 0)
    return malloc(64);
  void *volatile result =
      (path & 1) != 0 ? many_stacks_one_side(path >> 1, depth - 1) : many_stacks_other_side(path >> 1, depth - 1);
  return result;
}

__attribute__((noinline)) static void *many_stacks_one_side(unsigned path, int depth)
{
  __asm__ volatile("# one side"); /* or the compiler makes one function of the two */
  void *volatile result = many_stacks_turn(path, depth);
  return result;
}

__attribute__((noinline)) static void *many_stacks_other_side(unsigned path, int depth)
{
  __asm__ volatile("# other side");
  void *volatile result = many_stacks_turn(path, depth);
  return result;
}

static inline void *allocate_from_stack(unsigned number)
{
  return many_stacks_turn(number, MANY_STACKS_DEPTH);
}

#endif
