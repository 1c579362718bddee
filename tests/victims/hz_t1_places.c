/* SPDX-License-Identifier: MIT */
/* Its only thread waits for a line in a callback of dl_iterate_phdr, where libc holds the loader's lock; then on a stack that it has
 * allocated, with something of its own below; then where nothing speaks against it. Each time it looks whether errno is what it was. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { BELOW_BYTES = 256 << 10, STACK_BYTES = 64 << 10 };

static bool wait_for_line(const char *where)
{
  char byte;
  if (printf("%s\n", where) < 0 || fflush(stdout) != 0)
    return false;
  errno = 77;
  return read(0, &byte, 1) == 1 && errno == 77;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *argument)
{
  (void)info;
  (void)size;
  (void)argument;
  return wait_for_line("locked") ? 1 : -1;
}

static bool was_left_alone;

static void wait_apart(void)
{
  was_left_alone = wait_for_line("apart");
}

static bool wait_on_own_stack(void)
{
  static ucontext_t before, there;
  char *memory = malloc(BELOW_BYTES + STACK_BYTES);
  if (memory == NULL || getcontext(&there) != 0)
    return false;
  memset(memory, 'x', BELOW_BYTES);
  there.uc_stack.ss_sp = memory + BELOW_BYTES;
  there.uc_stack.ss_size = STACK_BYTES;
  there.uc_link = &before;
  makecontext(&there, wait_apart, 0);
  if (swapcontext(&before, &there) != 0)
    return false;
  for (int i = 0; i < BELOW_BYTES; i++)
    was_left_alone = was_left_alone && memory[i] == 'x';
  return was_left_alone;
}

int main(void)
{
  return dl_iterate_phdr(on_object, NULL) == 1 && wait_on_own_stack() && wait_for_line("free") ? 0 : 1;
}
