/* SPDX-License-Identifier: MIT */
/* Brings its own malloc, which calls syscall while it holds a lock that is not recursive, first of all when a library's constructor
 * allocates that runs before ours. Who looks a symbol up then that does not exist makes the loader allocate an error message, and
 * waits for ever. (PartitionAlloc in Chromium is like that.) */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int lock;
static char arena[1 << 22], *next = arena;

static void *take(size_t size)
{
  while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
    ;
  syscall(SYS_gettid);
  prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  char *result = next + 16;
  memcpy(next, &size, sizeof size);
  next += (size + 31) & ~(size_t)15;
  if (next > arena + sizeof arena)
    _exit(98);
  __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  return result;
}

void *malloc(size_t size)
{
  return take(size);
}

void *calloc(size_t count, size_t size)
{
  return take(count * size); /* never used before */
}

void *realloc(void *old, size_t size)
{
  size_t old_size;
  char *moved = take(size);
  if (old == NULL)
    return moved;
  memcpy(&old_size, (char *)old - 16, sizeof old_size);
  return memcpy(moved, old, old_size < size ? old_size : size);
}

void free(void *pointer)
{
  (void)pointer;
}

void hz_library_constructor(int argc, char **argv)
{
  (void)argc;
  (void)argv;
  void *(*volatile allocate)(size_t) = malloc;
  free(allocate(10));
}

int main(void)
{
  puts("end");
  return 0;
}
