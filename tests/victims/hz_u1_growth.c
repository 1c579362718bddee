/* SPDX-License-Identifier: MIT */
/* U1, I5: 4,096 stacks, so many that the state file grows several times; says which descriptors are open. */
#include "hz_victim.h"

#include <fcntl.h>

__attribute__((noinline)) static void left(unsigned path, int depth);
__attribute__((noinline)) static void right(unsigned path, int depth);

static void go_on(unsigned path, int depth)
{
  if (depth == 0)
    hz_churn(0, 10);
  else if (path & 1)
    left(path >> 1, depth - 1);
  else
    right(path >> 1, depth - 1);
}

static void left(unsigned path, int depth)
{
  go_on(path, depth);
  __asm__ volatile("" ::: "memory");
}

static void right(unsigned path, int depth)
{
  go_on(path, depth);
  __asm__ volatile("nop" ::: "memory");
}

int main(void)
{
  for (unsigned path = 0; path < 4096; path++)
    go_on(path, 12);
  for (int fd = 0; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) != -1)
      printf("%d is open\n", fd);
  return 0;
}
