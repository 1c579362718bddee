/* SPDX-License-Identifier: MIT */
/* T20: an executable whose allocator waits, with its lock in its hands, until somebody sends a byte: first in a function that
 * malloc called last of all, so that malloc is on no stack any more; then, called by a pointer from malloc, in one that no
 * code names. At the end the program itself waits. */
#include "hz_victim.h"

#include <stdatomic.h>

static atomic_flag lock = ATOMIC_FLAG_INIT;
static char memory[1 << 22];
static size_t used;
enum { HEADER = 16, LAST = 12345, POINTED = 12346 };

static __attribute__((noinline)) void *take(size_t size)
{
  while (atomic_flag_test_and_set(&lock))
    ;
  char byte;
  if (size == LAST || size == POINTED)
    REQUIRE(read(STDIN_FILENO, &byte, 1) == 1);
  size_t at = used;
  used += HEADER + (size + HEADER - 1) / HEADER * HEADER;
  REQUIRE(used <= sizeof memory);
  memcpy(memory + at, &size, sizeof size);
  atomic_flag_clear(&lock);
  return memory + at + HEADER;
}

static __attribute__((noinline)) void *take_last(size_t size)
{
  return take(size);
}

typedef void *taker(size_t size);
static taker *const volatile takers[] = {take};

void *malloc(size_t size)
{
  if (size != POINTED)
    return take_last(size);
  void *pointer = takers[0](size);
  __asm__ volatile("" : "+r"(pointer));
  return pointer;
}

void free(void *pointer)
{
  __asm__ volatile("" : : "r"(pointer) : "memory");
}

void *calloc(size_t count, size_t size)
{
  void *pointer = malloc(count * size);
  return memset(pointer, 0, count * size);
}

void *realloc(void *pointer, size_t size)
{
  size_t old = 0;
  if (pointer != NULL)
    memcpy(&old, (char *)pointer - HEADER, sizeof old);
  void *resized = malloc(size);
  return memcpy(resized, pointer != NULL ? pointer : resized, old < size ? old : size);
}

static void say(const char *what)
{
  dprintf(STDOUT_FILENO, "%s\n", what);
}

int main(void)
{
  char byte;
  say("last");
  REQUIRE(malloc(LAST) != NULL);
  say("pointed");
  REQUIRE(malloc(POINTED) != NULL);
  say("free");
  REQUIRE(read(STDIN_FILENO, &byte, 1) == 1);
  REQUIRE(malloc(1) != NULL);
  return 0;
}
