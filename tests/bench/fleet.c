/* SPDX-License-Identifier: MIT */
/* A small program of many: it holds what 64 places allocated, replaces an eighth of it every second, and ends when its
 * standard input does. It says that it is there by one byte. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH = 6, PLACES = 1 << DEPTH, BYTES = 8 << 10, PART = 8, TICK_MS = 1000 };

static char *objects[PLACES];

static void allocate(unsigned place)
{
  free(objects[place]);
  objects[place] = malloc(BYTES);
  if (objects[place] != NULL)
    memset(objects[place], 1, 1);
}

static void descend(unsigned place, unsigned depth);

__attribute__((noinline)) static void left(unsigned place, unsigned depth)
{
  descend(place, depth);
  __asm__ volatile("");
}

__attribute__((noinline)) static void right(unsigned place, unsigned depth)
{
  descend(place, depth);
  __asm__ volatile("");
}

/* The bits of the place are the way to it. */
__attribute__((noinline)) static void descend(unsigned place, unsigned depth)
{
  if (depth == DEPTH)
    allocate(place);
  else if ((place >> depth & 1) != 0)
    left(place, depth + 1);
  else
    right(place, depth + 1);
  __asm__ volatile("");
}

int main(void)
{
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  for (unsigned place = 0; place < PLACES; place++)
    descend(place, 0);
  if (write(STDOUT_FILENO, "+", 1) != 1)
    return 1;
  for (unsigned tick = 0; poll(&input, 1, TICK_MS) == 0; tick++)
    for (unsigned place = tick % PART; place < PLACES; place += PART)
      descend(place, 0);
  return 0;
}
