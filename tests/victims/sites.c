/* SPDX-License-Identifier: MIT */
/* Allocates at 64 places that differ in how much and in what sizes, between 64 KiB and 4 MiB each, and keeps a third
 * of it. Reads orders from standard input, one per line, and answers "done":
 *   work       does that once
 *   churn      the same, and keeps nothing
 *   leak N     N bytes more at place 20, in objects of 1000 bytes, kept
 *   exec PATH  becomes that program
 * and ends with its input. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 64, SIZES = 7, LEAKING_PLACE = 20, LEAK_SIZE = 1000 };
static const size_t sizes[SIZES] = {24, 100, 400, 1500, 6000, 20000, 90000};

#define PLACE(number)                                                                                                  \
  __attribute__((noinline)) static void *victim_place_##number(size_t size)                                            \
  {                                                                                                                    \
    void *p = malloc(size);                                                                                            \
    __asm__ volatile("" : "+r"(p) : : "memory");                                                                       \
    return p;                                                                                                          \
  }
#define NAME(number) victim_place_##number,
#define EIGHT(what, tens)                                                                                              \
  what(tens##0) what(tens##1) what(tens##2) what(tens##3) what(tens##4) what(tens##5) what(tens##6) what(tens##7)
#define ALL(what)                                                                                                      \
  EIGHT(what, 0)                                                                                                       \
  EIGHT(what, 1)                                                                                                       \
  EIGHT(what, 2) EIGHT(what, 3) EIGHT(what, 4) EIGHT(what, 5) EIGHT(what, 6) EIGHT(what, 7)

ALL(PLACE)
static void *(*const places[PLACES])(size_t) = {ALL(NAME)};

static void work(bool keeps)
{
  for (size_t place = 0; place < PLACES; place++) {
    size_t size = sizes[place % SIZES], count = ((place + 1) << 16) / size + 1;
    for (size_t i = 0; i < count; i++) {
      void *p = places[place](size);
      if (!keeps || i % 3 != 0)
        free(p);
    }
  }
}

static void leak(size_t bytes)
{
  for (size_t leaked = 0; leaked < bytes; leaked += LEAK_SIZE)
    (void)places[LEAKING_PLACE](LEAK_SIZE);
}

int main(void)
{
  static char order[4096]; /* no buffer of stdio: its memory would be in the profile */
  (void)setvbuf(stdin, NULL, _IONBF, 0);
  while (fgets(order, sizeof order, stdin) != NULL) {
    order[strcspn(order, "\n")] = '\0';
    if (strcmp(order, "work") == 0)
      work(true);
    else if (strcmp(order, "churn") == 0)
      work(false);
    else if (strncmp(order, "leak ", 5) == 0)
      leak(strtoul(order + 5, NULL, 10));
    else if (strncmp(order, "exec ", 5) == 0)
      (void)execl(order + 5, order + 5, NULL);
    (void)!write(1, "done\n", 5);
  }
  return 0;
}
