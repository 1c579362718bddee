/* SPDX-License-Identifier: MIT */
/* Holds an object of each of 2,000 stacks. For each byte that it reads from the descriptor argv[1], it gives those of the
 * next 100 back, makes others, and writes a byte to argv[2]. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STACKS = 2000, CHANGES = 100, TURNS = 11 };

static void *held[STACKS];

void *victim_left(unsigned way, unsigned turns, size_t size);
void *victim_right(unsigned way, unsigned turns, size_t size);

__attribute__((noinline)) void *victim_left(unsigned way, unsigned turns, size_t size)
{
  void *made = turns == 0 ? malloc(size) : (way & 1 ? victim_right : victim_left)(way >> 1, turns - 1, size);
  __asm__ volatile("" : "+r"(made));
  return made;
}

__attribute__((noinline)) void *victim_right(unsigned way, unsigned turns, size_t size)
{
  void *made = turns == 0 ? malloc(size) : (way & 1 ? victim_right : victim_left)(way >> 1, turns - 1, size);
  __asm__ volatile("" : "+r"(made));
  return made;
}

static void change(unsigned stack, unsigned turn)
{
  free(held[stack]);
  held[stack] = victim_left(stack, TURNS, 40000 + (stack * 7919 + turn * 104729) % 60000);
}

int main(int argc, char **argv)
{
  char order;
  if (argc != 3)
    return 2;
  int from = atoi(argv[1]), to = atoi(argv[2]);
  for (unsigned stack = 0; stack < STACKS; stack++)
    change(stack, 0);
  puts("ready");
  (void)fflush(stdout);
  for (unsigned turn = 1; read(from, &order, 1) == 1; turn++) {
    for (unsigned i = 0; i < CHANGES; i++)
      change((turn * CHANGES + i) % STACKS, turn);
    if (write(to, &order, 1) != 1)
      return 1;
  }
  return 0;
}
